"""A model up to its last LSTM, where the class of a layer behind it is not known."""

import json

from keras_lstm_gates.opening.readers.leaves import layer_name

RECURRENT = ("LSTM", "LSTMCell", "GatedLSTM", "GatedLSTMCell")


def cut(config, unknown):
    """The part of a model that needs none of some layers.

    Args:
        config: of a model, as Keras 3 writes it.
        unknown: {name of a layer: why it cannot be built}.

    Returns:
        (the configuration of the part, the names of the layers left out, those whose output it gives).

    Raises:
        ValueError: an LSTM needs one of these layers, or is in it, or there is none.
    """
    layers = config["config"]["layers"]
    name, why = next(iter(unknown.items()))
    advice = "Build the model in Python and give it the weights: load_weights(model, path)"
    if why.endswith("a class that is not in Keras"):
        advice = "Give its class: load_model(..., custom_objects={{...}}), or --import MODULE"
    refusal = f"the layer {name!r} {why}, and {{}}. {advice}"
    if not any(holds_lstm(layer) for layer in layers):
        raise ValueError(refusal.format("no layer is an LSTM"))
    graph = "input_layers" in config["config"]
    dropped = _behind(layers, unknown) if graph else _after(layers, unknown)
    for layer in layers:
        if layer_name(layer) in dropped and holds_lstm(layer):
            raise ValueError(refusal.format(f"the LSTM in {layer_name(layer)!r} needs it"))
    if not graph:
        kept = [layer for layer in layers if layer_name(layer) not in dropped]
        part = {**config, "config": {**config["config"], "layers": kept}}
        return part, [layer_name(layer) for layer in layers if layer_name(layer) in dropped], [layer_name(kept[-1])]
    return _part(config, layers, dropped)


def holds_lstm(config):
    """Whether a configuration is that of an LSTM or holds one, at any depth."""
    if isinstance(config, dict):
        if config.get("class_name") in RECURRENT or str(config.get("registered_name")).rpartition(">")[2] in RECURRENT:
            return True
        return any(holds_lstm(one) for one in config.values())
    return isinstance(config, list) and any(holds_lstm(one) for one in config)


def _after(layers, unknown):
    names = [layer_name(layer) for layer in layers]
    return set(names[min(names.index(name) for name in unknown) :])


def _behind(layers, unknown):
    """The names of the layers that need one of these, and these."""
    behind, grown = set(unknown), True
    while grown:
        more = {
            layer_name(layer) for layer in layers if any(one in behind for one, _, _ in origins(layer["inbound_nodes"]))
        }
        grown = not more <= behind
        behind |= more
    return behind


def _part(config, layers, dropped):
    by_name = {layer_name(layer): layer for layer in layers}
    recurrent = _behind(layers, [name for name in by_name if name not in dropped and holds_lstm(by_name[name])])
    functional = {name for name, layer in by_name.items() if "input_layers" in layer["config"]}

    def at_the_end(origin):
        name, call, output = origin
        return [name, call + (1 if name in functional else 0), output]

    before = [at_the_end(one) for name in by_name if name in dropped for one in origins(by_name[name]["inbound_nodes"])]
    own = [one for one in origins(config["config"]["output_layers"]) if one[0] not in dropped]
    ends = {json.dumps(end): end for end in [*own, *before] if end[0] in recurrent and end[0] not in dropped}
    if not ends:
        raise ValueError("expected an LSTM whose output the model uses; received none")
    needed, waiting = set(), [end[0] for end in ends.values()]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [origin[0] for origin in origins(by_name[name]["inbound_nodes"])]
    kept = [layer for layer in layers if layer_name(layer) in needed]
    inputs = [origin for origin in origins(config["config"]["input_layers"]) if origin[0] in needed]
    outputs = list(ends.values())
    # A list of one tensor would stay a list.
    inputs, outputs = (one[0] if len(one) == 1 else one for one in (inputs, outputs))
    graph = {"layers": kept, "input_layers": inputs, "output_layers": outputs}
    part = {**config, "config": {**config["config"], **graph}}
    return part, [name for name in by_name if name not in needed], [end[0] for end in ends.values()]


def origins(place):
    """The [layer, call, output] of all tensors in a call or at an end of a model."""
    if isinstance(place, list) and len(place) == 3 and isinstance(place[0], str):
        yield place
    elif isinstance(place, dict) and place.get("class_name") == "__keras_tensor__":
        yield list(place["config"]["keras_history"])
    elif isinstance(place, (list, dict)):
        for one in place.values() if isinstance(place, dict) else place:
            yield from origins(one)
