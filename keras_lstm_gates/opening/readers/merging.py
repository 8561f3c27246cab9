"""The Merge layer of Keras 1: a layer of Keras 3 for each mode, and a Sequential that begins with one as a graph."""

LAYERS = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
}


def merged(old):
    """(the layer that a Merge is in Keras 2, None), or (None, why there is none).

    Example:
        >>> merged({"class_name": "Merge", "config": {"name": "m", "mode": "concat", "concat_axis": -1}})[0]
        {'class_name': 'Concatenate', 'config': {'name': 'm', 'axis': -1}}
    """
    config = old["config"]
    mode = config.get("mode")
    if config.get("mode_type", "raw") != "raw" or mode not in LAYERS:
        return None, f"is a Merge with the mode {str(mode)[:40]!r}, which is not translated"
    arguments = {"concat": {"axis": config.get("concat_axis", -1)}, "dot": {"axes": config.get("dot_axes", -1)}}
    new = {"name": config.get("name", "merge"), **arguments.get(mode, {})}
    return {**old, "class_name": LAYERS[mode], "config": new}, None


def begins_with_merge(layers):
    """Whether the layers of a Sequential are those of branches, a Merge of their ends, and more layers."""
    first = layers[0] if layers else None
    return isinstance(first, dict) and first.get("class_name") == "Merge" and "layers" in first.get("config", ())


class Branches:
    """A Sequential of branches as the configuration of a functional model of Keras 2, every layer in one graph.

    Args:
        name: str.
        layers: list of the configurations of its layers.
        input_of: function of (a branch's first layer, the branch): its InputLayer.
    """

    def __init__(self, name, layers, input_of):
        self._input_of = input_of
        self._layers, self._inputs = [], []
        end = self._chain({"layers": layers})
        self.config = {
            "name": name,
            "layers": self._layers,
            "input_layers": [[one, 0, 0] for one in self._inputs],
            "output_layers": [[end, 0, 0]],
        }

    def _chain(self, config):
        """Add the layers of a Sequential, one after the other; the name of the last."""
        layers = config["layers"] if isinstance(config, dict) else config
        if begins_with_merge(layers):
            merge, *after = layers
            ends = [self._branch(one) for one in merge["config"]["layers"]]
            config = {key: value for key, value in merge["config"].items() if key != "layers"}
            before = self._add({"class_name": "Merge", "config": config}, ends)
        else:
            after = layers
            given = layers[0]["class_name"] == "InputLayer"
            first = after.pop(0) if given else self._input_of(layers[0], config if isinstance(config, dict) else {})
            before = self._add(first, [])
            self._inputs.append(before)
        for one in after:
            before = self._add(one, [before])
        return before

    def _branch(self, old):
        if old.get("class_name") == "Sequential":
            return self._chain(old["config"])
        name = old["config"].get("name") if isinstance(old.get("config"), dict) else None
        raise ValueError(f"expected branches that are Sequential; received {name!r}, a {old.get('class_name')}")

    def _add(self, old, before):
        name = old["config"]["name"]
        nodes = [[[one, 0, 0, {}] for one in before]] if before else []
        self._layers.append({**old, "name": name, "inbound_nodes": nodes})
        return name
