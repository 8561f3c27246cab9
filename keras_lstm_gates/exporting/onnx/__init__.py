"""The format ONNX."""
