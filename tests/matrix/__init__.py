"""The versions of Python, TensorFlow and Keras that the tests run with."""
