"""What `multi_gpu_model` of Keras 2 made of a model: slices of the batch, a call for each, their ends joined again."""

from keras_lstm_gates.opening.readers import old_names


def without_devices(config):
    """The configuration of a functional model whose one inner model is called once, on all samples.

    Args:
        config: of a functional model, as Keras 2 wrote it.

    Returns:
        The configuration; None where it is not what `multi_gpu_model` made.
    """
    layers = {one.get("name"): one for one in config["layers"]}
    kinds = {name: one.get("class_name") for name, one in layers.items()}
    inner = [name for name, kind in kinds.items() if kind in old_names.MODELS]
    slices = [one for one in layers.values() if one.get("class_name") == "Lambda"]
    if len(inner) != 1 or not slices or not all(_is_slice(one) for one in slices):
        return None
    if set(kinds.values()) - {"InputLayer", "Lambda", "Concatenate", *old_names.MODELS}:
        return None
    try:
        # Each input of the inner model is a slice of the one that the slice was cut from.
        sources = [layers[name]["inbound_nodes"][0][0] for name, *_ in layers[inner[0]]["inbound_nodes"][0]]
        joined = [layers[name] for name, *_ in config["output_layers"]]
        outputs = [one["inbound_nodes"][0][0][2] for one in joined]
    except (LookupError, TypeError, ValueError):
        return None
    if any(one["class_name"] != "Concatenate" or one["config"].get("axis") != 0 for one in joined):
        return None
    once = {**layers[inner[0]], "inbound_nodes": [[[*source[:3], {}] for source in sources]]}
    kept = [one for one in config["layers"] if one.get("class_name") == "InputLayer"]
    return {**config, "layers": [*kept, once], "output_layers": [[inner[0], 1, output] for output in outputs]}


def _is_slice(layer):
    arguments = layer["config"].get("arguments") if isinstance(layer.get("config"), dict) else None
    return isinstance(arguments, dict) and arguments.keys() == {"i", "parts"}
