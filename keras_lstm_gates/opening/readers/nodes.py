"""The calls of the layers of a functional model: as Keras 1 and 2 wrote them, and as Keras 3 does."""

from keras_lstm_gates.opening.readers import old_names, op_layers, operations


class Nodes:
    """The calls in one graph.

    Keras 2 writes where a tensor comes from as [layer, number of the call, number of the output]; of a model within
    the model it counts the calls from 1, or from 0 where that was built late.

    Args:
        config: the graph's configuration.
        names: of its layers.
    """

    def __init__(self, config, names):
        self._names = names
        layers = {one.get("name", one["config"].get("name")): one for one in config["layers"] if isinstance(one, dict)}
        used = {}
        for place in (
            config["input_layers"],
            config["output_layers"],
            [one.get("inbound_nodes") for one in layers.values()],
        ):
            for name, call, _ in self._origins(place):
                used.setdefault(name, set()).add(call)
        self._before, self._functional = {}, set()
        for name, layer in layers.items():
            calls = max(1, len(layer.get("inbound_nodes") or ()))
            self._before[name] = 1 if calls in used.get(name, ()) else 0
            inner = layer.get("config")
            if isinstance(inner, dict) and "input_layers" in inner:
                self._functional.add(name)

    def of_layer(self, old, layer, renamed):
        """The calls of a layer, in the words of Keras 3."""
        calls = old.get("inbound_nodes") or []
        if not isinstance(calls, list):
            raise ValueError(f"expected the calls of the layer {old.get('name')!r} as a list; received {calls!r}")
        return [self._call(call, old, layer, renamed) for call in calls]

    def keywords(self, old):
        """The keyword arguments of each call of a layer."""
        calls = old.get("inbound_nodes") or []
        return [self._given(call) for call in calls] if isinstance(calls, list) else []

    def needed(self, config):
        """The names of the layers from which a graph's outputs come, and of its inputs."""
        layers = {one.get("name", one["config"].get("name")): one for one in config["layers"]}
        waiting = [name for key in ("input_layers", "output_layers") for name, _, _ in self._origins(config[key])]
        needed = set()
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting += [one for one, _, _ in self._origins(layers[name].get("inbound_nodes"))]
        return needed

    def ends(self, place, renamed):
        """The tensors that a model takes or gives, in the structure that it has them."""
        if self._is_origin(place):
            name, call, output = place[:3]
            return [renamed(name), self._number(name, call), output]
        if isinstance(place, dict):
            return {key: self.ends(one, renamed) for key, one in place.items()}
        if isinstance(place, list):
            # Keras 2 takes and gives a list of one tensor as that tensor.
            ends = [self.ends(one, renamed) for one in place]
            return ends[0] if len(ends) == 1 else ends
        raise ValueError(f"expected [layer, call, output] of a tensor; received {place!r}")

    def _call(self, call, old, layer, renamed):
        if isinstance(call, dict):
            raise ValueError("expected the calls of its layers as Keras 2 writes them; received those of Keras 3")
        given = self._given(call)
        tensors = self._tensors(call, renamed)
        kind = layer["class_name"]
        if kind == "TensorFlowOperation" and "node_def" in old["config"]:
            args, kwargs = op_layers.call_of(old["config"], tensors)
            return {"args": args, "kwargs": kwargs}
        if kind == "TensorFlowOperation":
            given = operations.keywords(layer["config"]["function"], given)
            return {"args": [tensors], "kwargs": self._tensors(given, renamed, keyword=True)}
        if isinstance(tensors, list) and len(tensors) == 1:
            (tensors,) = tensors
        keywords = {
            name: self._tensors(value, renamed, keyword=True)
            for name, value in given.items()
            if value is not None and name not in ("name",)
        }
        if kind in old_names.RECURRENT and isinstance(tensors, list):
            first, *states = tensors
            return {"args": [first], "kwargs": {**keywords, "initial_state": states}}
        return {"args": [tensors], "kwargs": keywords}

    def _given(self, call):
        """The keyword arguments of a call: they stand behind each of its tensors."""
        if self._is_origin(call) or self._is_constant(call):
            return call[3] if len(call) > 3 and isinstance(call[3], dict) else {}
        inner = call.values() if isinstance(call, dict) else call
        return next((given for one in inner if isinstance(one, (list, dict)) and (given := self._given(one))), {})

    def _tensors(self, place, renamed, keyword=False):
        if self._is_constant(place):
            return place[2]
        if self._is_origin(place):
            name, call, output = place[:3]
            return {
                "class_name": "__keras_tensor__",
                "config": {
                    "shape": [],
                    "dtype": "float32",
                    # Keras counts the calls of a Functional model from 0 here and from 1 at the ends of a model.
                    "keras_history": [renamed(name), call - self._before[name], output],
                },
            }
        if isinstance(place, dict):
            return {key: self._tensors(one, renamed, keyword) for key, one in place.items()}
        if isinstance(place, list):
            return [self._tensors(one, renamed, keyword) for one in place]
        if keyword:
            return place
        raise ValueError(f"expected [layer, call, output] of a tensor; received {place!r}")

    def _number(self, name, call):
        return call - self._before[name] + (1 if name in self._functional else 0)

    def _origins(self, place):
        if self._is_origin(place):
            yield place[:3]
            place = place[3:]
        if isinstance(place, (list, dict)):
            for one in place.values() if isinstance(place, dict) else place:
                yield from self._origins(one)

    def _is_constant(self, place):
        """Whether it is a number or a list of numbers in the place of a tensor."""
        return isinstance(place, (list, tuple)) and len(place) in (3, 4) and list(place[:2]) == ["_CONSTANT_VALUE", -1]

    def _is_origin(self, place):
        return (
            isinstance(place, (list, tuple))
            and len(place) in (3, 4)
            and isinstance(place[0], str)
            and place[0] in self._names
            and all(type(number) is int for number in place[1:3])
        )
