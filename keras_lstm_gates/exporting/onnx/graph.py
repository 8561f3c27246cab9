"""An ONNX graph that grows node by node."""

from dataclasses import dataclass

import numpy as np

OPSET = 18
"""Old enough for the ONNX Runtime of 2023; the newest operator here is LayerNormalization, of 17."""


@dataclass(frozen=True)
class Value:
    """What flows along an edge: its name, its shape with None for a free axis, and its Keras dtype."""

    name: str
    shape: tuple
    dtype: str


class Graph:
    """An ONNX graph that grows node by node; weights that are used twice are stored once.

    Attributes:
        scope: str, the name of the layer whose nodes are added now.
        replacements: {id of a variable: `Value` of the input that takes its place}.
        bool, float32, int32, int64: ONNX's numbers of these types.
        tensor: function of an array to the `TensorProto` that an attribute takes.
    """

    def __init__(self):
        from onnx import TensorProto, helper, numpy_helper

        self.scope, self.replacements = "", {}
        self.float32, self.int32, self.int64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
        self.bool = TensorProto.BOOL
        self.tensor = numpy_helper.from_array
        self._helper = helper
        self._nodes, self._constants, self._known = [], [], {}

    def add(self, operator, *inputs, outputs=1, **attributes):
        """Append a node.

        Args:
            operator: str, ONNX's name of it.
            inputs: each a name, a `Value`, an array, which becomes a constant, or None for one left out.
            outputs: int > 0, how many it has.
            attributes: of the operator; a body may be a `GraphProto`.

        Returns:
            str, the name of its output, or a list of them.
        """
        name = f"{self.scope}:{operator}_{len(self._nodes)}"
        names = [name] if outputs == 1 else [f"{name}_{number}" for number in range(outputs)]
        given = [self._edge(one) for one in inputs]
        self._nodes.append(self._helper.make_node(operator, given, names, name=name, **attributes))
        return names if outputs > 1 else names[0]

    def number_of(self, dtype):
        """ONNX's number of a dtype of Keras."""
        return self._helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def model(self, inputs, outputs, name, batch=None):
        """The whole as bytes.

        Args:
            inputs: {name: `keras.KerasTensor`}; a free first axis is called "batch", a free second one "time", of
                several inputs "time of <name>": a runtime takes axes of one name for equally long. Of those that take
                the place of variables either may be 1: they have names of their own.
            outputs: {name: (the name or `Value` that it is, `keras.KerasTensor`)}.
            name: str, of the graph.
            batch: int, or None for any.

        Raises:
            ValueError: "the format 'onnx' cannot hold the output 'sequence': the input is called so".
        """
        self.scope = ""
        for output, (edge, _) in outputs.items():
            if output in inputs:
                raise ValueError(f"the format 'onnx' cannot hold the output {output!r}: the input is called so")
            self._nodes.append(self._helper.make_node("Identity", [self._edge(edge)], [output]))
        nodes, constants = self._needed(outputs)
        numbers = {one.name for one in self.replacements.values()}
        several = len({*inputs} - numbers) > 1
        graph = self._helper.make_graph(
            nodes,
            name,
            [
                self._described(key, one, one.shape[0] or f"samples of {key}", f"time of {key}")
                if key in numbers
                else self._described(key, one, batch, f"time of {key}" if several else "time")
                for key, one in inputs.items()
            ],
            [self._described(key, one, batch, None if several else "time") for key, (_, one) in outputs.items()],
            constants,
        )
        opset = self._helper.make_opsetid("", OPSET)
        # The oldest version of the format that may hold these operators: what most runtimes read.
        version = self._helper.find_min_ir_version_for([opset])
        model = self._helper.make_model(
            graph, opset_imports=[opset], ir_version=version, producer_name="keras_lstm_gates"
        )
        return model.SerializeToString()

    def body(self, nodes, inputs, outputs, units):
        """A `GraphProto` for a loop: nodes (operator, inputs, output) over names of arrays (batch, units)."""

        def inner(name):
            # A name within may not be one without, such as that of the model's input.
            return f"body:{name}"

        def described(name):
            return self._helper.make_tensor_value_info(inner(name), self.float32, ["batch", units])

        return self._helper.make_graph(
            [
                self._helper.make_node(operator, [inner(one) for one in given], [inner(output)])
                for operator, given, output in nodes
            ],
            "body",
            [described(name) for name in inputs],
            [described(name) for name in outputs],
        )

    def scan(self, step, states, along):
        """ONNX's Scan: a step for each place of the first axis.

        Args:
            step: function of (a `Graph` of the loop's inside, [states], {name: slice}) to ([next states], [outputs]),
                all of them names.
            states: list of names or `Value`s, the states before the first step.
            along: {name: (name, of its type an ONNX number)}, what is read slice by slice.

        Returns:
            Names of the last states, and of the outputs of all steps, (time, ...), in one list.
        """
        inner = Graph()
        inner.scope = f"inside:{self.scope}"
        before = [f"{inner.scope}:state_{place}" for place in range(len(states))]
        slices = {name: f"{inner.scope}:{name}" for name in along}
        following, outputs = step(inner, before, slices)
        results = [inner.add("Identity", one) for one in (*following, *outputs)]

        def described(name, kind=self.float32):
            return self._helper.make_tensor_value_info(name, kind, None)

        body = self._helper.make_graph(
            inner._nodes,
            "body",
            [*map(described, before), *(described(slices[name], kind) for name, (_, kind) in along.items())],
            [described(name) for name in results],
            inner._constants,
        )
        given = [*states, *(one for one, _ in along.values())]
        return self.add("Scan", *given, outputs=len(results), body=body, num_scan_inputs=len(along))

    def _needed(self, outputs):
        """The nodes and constants from which the outputs come."""
        needed, nodes = set(outputs), []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                nodes.append(node)
        return nodes[::-1], [one for one in self._constants if one.name in needed]

    def _described(self, name, tensor, batch, time):
        free = (time, None, None, None)
        shape = [batch or "batch", *(size or name for size, name in zip(tensor.shape[1:], free, strict=False))]
        dtype = self._helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
        return self._helper.make_tensor_value_info(name, dtype, shape)

    def _edge(self, one):
        if one is None:
            return ""
        if isinstance(one, str | Value):
            return one if isinstance(one, str) else one.name
        array = np.asarray(one)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"{self.scope}:constant_{len(self._constants)}"
            self._constants.append(self.tensor(array, self._known[key]))
        return self._known[key]
