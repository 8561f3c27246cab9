"""From a SavedModel to a TFLite file, in a process of its own, as the converter may crash."""


def convert(saved_model, file, signatures):
    """Write `file` with those signatures of the folder `saved_model`, of builtin operators only."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=signatures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    content = converter.convert()
    with open(file, "wb") as out:
        out.write(content)
