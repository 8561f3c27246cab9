"""A `GatedLSTM` as ONNX's LSTM operator, its gates computed again from h; one step of it; and where it is steered."""

import numpy as np

from keras_lstm_gates.exporting.onnx.activations import activated, operator_of
from keras_lstm_gates.gates import Gates
from keras_lstm_gates.interventions import composed

ONNX_ORDER = ("i", "o", "f", "g")
"""ONNX's order of the gates; it calls g c."""

TIME_FIRST = (1, 0, 2)


def lstm(graph, layer, x, initial_state=None, mask=None, interventions=None, **_):
    """The nodes of a whole LSTM: ONNX's operator, and where gates are wanted, these by one product of x and h.

    ONNX's operator has no mask: the real steps go first, and its answers back to where they were. It lets no one act
    on a gate: an LSTM that is steered is a Scan over the equations.

    Args:
        graph: `keras_lstm_gates.exporting.onnx.graph.Graph`.
        layer: `keras_lstm_gates.GatedLSTM`.
        x: `Value`, (batch, time, features).
        initial_state: [h, c], `Value`s (batch, units), or None for zeros.
        mask: `Value`, bool (batch, time), or None.
        interventions: {gate: [scale, shift]}, `Value`s that broadcast to (batch, time, units), or None.

    Returns:
        What the layer returns, with names in the place of tensors.

    Raises:
        ValueError: of a stateful layer, or an activation that ONNX does not have.
    """
    if layer.stateful:
        raise ValueError("it is stateful")
    acting = _acting(graph, layer, interventions, x)
    if layer.go_backwards:
        x, mask = flipped(graph, x), None if mask is None else flipped(graph, mask)
    if acting:
        return _steered(graph, layer, x, initial_state, mask, acting)
    real = None if mask is None else RealSteps(graph, mask)
    x = graph.add("Transpose", x if real is None else real.first(x), perm=TIME_FIRST)
    before = initial_state or (None, None)
    h, last_h, last_c = _operator(graph, layer, x, before)
    # The operator's own last c is that of the last step, not of the last real one.
    wants_gates = layer.return_gates or (layer.return_state and real is not None)
    gates = _gates(graph, layer, x, h, before) if wants_gates else {"h": h}
    gates = {name: graph.add("Transpose", values, perm=TIME_FIRST) for name, values in gates.items()}
    if real is None:
        shown = gates
        states = [graph.add("Squeeze", state, np.array([0])) for state in (last_h, last_c)]
    else:
        shown = {name: real.shown(values) for name, values in gates.items()}
        states = [real.last(gates[name], state) for name, state in zip("hc", before, strict=True) if name in gates]
    return _returned(graph, layer, shown, states, mask)


def _returned(graph, layer, shown, states, mask):
    """What a layer returns, of {gate: (batch, time, units)} and its last states."""
    output = shown["h"]
    if mask is not None and layer.zero_output_for_mask:
        output = graph.add("Where", graph.add("Unsqueeze", mask, np.array([-1])), output, np.float32(0))
    if not layer.return_sequences:
        output = graph.add("Gather", output, np.array(-1), axis=1)
    if layer.return_gates:
        named = {"output": output, **shown}
        return {**named, "state_h": states[0], "state_c": states[1]} if layer.return_state else named
    return (output, *states) if layer.return_state else output


def lstm_step(graph, step, x, h, c, mask=None, interventions=None, **_):
    """The nodes of a `keras_lstm_gates.exporting.stepping.LSTMStep`, from and to what it takes and returns."""
    layer = step.lstm
    acting = _acting(graph, layer, interventions, x)
    act = {key: graph.add("Squeeze", one, np.array([1])) for key, one in acting.items()}
    x = graph.add("Squeeze", x, np.array([1]))
    gates = _gates_of_step(graph, layer, _z(graph, layer, x, h), c, act)
    if mask is not None:
        kept = {"f": np.float32(1), "c": c, "h": h}
        gates = {
            name: graph.add("Where", mask, values, kept.get(name, np.float32(0))) for name, values in gates.items()
        }
    named = {name: graph.add("Unsqueeze", gates[name], np.array([1])) for name in Gates._fields}
    output = named["h"] if layer.return_sequences else gates["h"]
    return {**named, "output": output, "state_h": gates["h"], "state_c": gates["c"]}


def held_interventions(graph, holder, x, **_):
    """The scales and shifts of a `keras_lstm_gates.steering.holders.HeldInterventions`, {gate: [scale, shift]}."""

    def number(variable):
        values = graph.replacements.get(id(variable))
        if values is None:
            values = _of_steps(graph, np.asarray(variable, "float32"), x)
        elif len(values.shape) == 2:
            # Of one step.
            values = graph.add("Unsqueeze", values, np.array([1]))
        return flipped(graph, values) if holder.backwards else graph.add("Identity", values)

    return {gate: [number(one) for one in holder.variables_of(gate)] for gate in holder.gates}


def _steered(graph, layer, x, initial_state, mask, acting):
    """The nodes of a whole LSTM that something acts on: a Scan over the equations."""
    h, c = initial_state or [_zeros(graph, layer, x)] * 2
    every_step = graph.add("Concat", np.array([1]), graph.add("Shape", x, start=1, end=2), np.array([1]), axis=0)
    kernel, recurrent_kernel, bias = _weights(layer)
    z = graph.add("Add", graph.add("MatMul", x, np.ascontiguousarray(kernel[0].T)), bias)
    along = {"z": z} | {key: graph.add("Expand", number, every_step) for key, number in acting.items()}
    along = {key: (graph.add("Transpose", values, perm=TIME_FIRST), graph.float32) for key, values in along.items()}
    if mask is not None:
        real = graph.add("Unsqueeze", graph.add("Transpose", mask, perm=(1, 0)), np.array([-1]))
        along["real"] = real, graph.bool
    stored = Gates._fields if layer.return_gates else ("h",)
    # A masked step repeats all six.
    carried = ("h", "c") if mask is None else ("h", "c", "i", "f", "g", "o")

    def step(inside, before, now):
        before = dict(zip(carried, before, strict=True))
        z = inside.add("Add", now["z"], inside.add("MatMul", before["h"], np.ascontiguousarray(recurrent_kernel[0].T)))
        gates = _gates_of_step(inside, layer, z, before["c"], now)
        if mask is not None:
            gates = {name: inside.add("Where", now["real"], one, before[name]) for name, one in gates.items()}
        return [gates[name] for name in carried], [gates[name] for name in stored]

    nothing = [_zeros(graph, layer, x)] * (len(carried) - 2)
    last_h, last_c, *others = graph.scan(step, [h, c, *nothing], along)
    shown = dict(zip(stored, others[len(nothing) :], strict=True))
    shown = {name: graph.add("Transpose", values, perm=TIME_FIRST) for name, values in shown.items()}
    if mask is not None and initial_state is not None:
        # Zeros, not the states it was given, until the first real step.
        count = graph.add("CumSum", graph.add("Cast", mask, to=graph.int64), np.array(1))
        begun = graph.add("Unsqueeze", graph.add("Greater", count, np.array(0)), np.array([-1]))
        shown = {name: graph.add("Where", begun, values, np.float32(0)) for name, values in shown.items()}
    return _returned(graph, layer, shown, [last_h, last_c], mask)


def _zeros(graph, layer, x):
    """The states (batch, units) before the first step."""
    sizes = graph.add("Concat", graph.add("Shape", x, start=0, end=1), np.array([layer.units]), axis=0)
    return graph.add("ConstantOfShape", sizes)


def _acting(graph, layer, interventions, x):
    """{"f scale 0": (batch or 1, time or 1, units or 1)} of what acts on each gate, in its order."""
    acting = {}
    for gate in Gates._fields:
        pairs = []
        if gate in layer.interventions:
            own = composed(layer.interventions[gate], gate, layer.units, x.shape[1], x.shape[0])
            pairs.append([_of_steps(graph, number.astype("float32"), x) for number in own])
        if gate in (interventions or {}):
            pairs.append(interventions[gate])
        for place, (scale, shift) in enumerate(pairs):
            acting |= {f"{gate} scale {place}": scale, f"{gate} shift {place}": shift}
    return acting


def _of_steps(graph, number, x):
    """A number (samples, rows, units) at each step of x: its last row is that of all later steps."""
    rows = number.shape[1]
    if rows in (1, x.shape[1]):
        return number
    time = graph.add("Squeeze", graph.add("Shape", x, start=1, end=2), np.array([0]))
    steps = graph.add("Range", np.array(0), time, np.array(1))
    return graph.add("Gather", number, graph.add("Min", steps, np.array(rows - 1)), axis=1)


def _gates_of_step(graph, layer, z, c, acting):
    """{gate: (batch, units)} of a step from its pre-activations."""

    def steered(gate, value):
        for place in range(sum(key.startswith(f"{gate} scale") for key in acting)):
            value = graph.add("Mul", value, acting[f"{gate} scale {place}"])
            value = graph.add("Add", value, acting[f"{gate} shift {place}"])
        return value

    gates = {name: steered(name, one) for name, one in _activated(graph, layer, z).items()}
    written = graph.add("Mul", gates["i"], gates["g"])
    gates["c"] = steered("c", graph.add("Add", written, graph.add("Mul", gates["f"], c)))
    gates["h"] = steered("h", graph.add("Mul", gates["o"], activated(graph, layer.activation, gates["c"])))
    return gates


def flipped(graph, x):
    """A value with its time, axis 1, from its end."""
    return graph.add("Slice", x, np.array([-1]), np.array([np.iinfo("int64").min]), np.array([1]), np.array([-1]))


def _operator(graph, layer, x, before):
    """ONNX's operator: h of every step (time, batch, units), and the last h and c (1, batch, units)."""
    kernel, recurrent_kernel, bias = _weights(layer)
    inner = operator_of(layer.activation)
    of_gates = [operator_of(layer.recurrent_activation), inner, inner]
    parameters = {
        f"activation_{key}": found
        for key in ("alpha", "beta")
        if (found := [attributes[key] for _, attributes in of_gates if key in attributes])
    }
    every, *last = graph.add(
        "LSTM",
        x,
        kernel,
        recurrent_kernel,
        np.concatenate([bias, np.zeros_like(bias)])[None],
        None,
        *(state and graph.add("Unsqueeze", state, np.array([0])) for state in before),
        outputs=3,
        hidden_size=layer.units,
        activations=[name for name, _ in of_gates],
        **parameters,
    )
    return graph.add("Squeeze", every, np.array([1])), *last


def _gates(graph, layer, x, h, before):
    """{gate: (time, batch, units)} of an LSTM whose h is known at every step; only c runs along time."""
    none_last = np.array([1, 0, 0, -1, 0, 0])
    if before[0] is None:
        h_previous = graph.add("Pad", h, none_last)
    else:
        all_but_last = graph.add("Slice", h, np.array([0]), np.array([-1]), np.array([0]))
        h_previous = graph.add("Concat", graph.add("Unsqueeze", before[0], np.array([0])), all_but_last, axis=0)
    gates = _activated(graph, layer, _z(graph, layer, x, h_previous))
    c_before = before[1] or graph.add("ConstantOfShape", graph.add("Shape", h, start=1))
    nodes = [
        ("Mul", ["f", "c_previous"], "kept"),
        ("Add", ["kept", "admitted"], "c"),
        ("Identity", ["c"], "c_of_step"),
    ]
    body = graph.body(nodes, ["c_previous", "admitted", "f"], ["c", "c_of_step"], layer.units)
    admitted = graph.add("Mul", gates["i"], gates["g"])
    _, c = graph.add("Scan", c_before, admitted, gates["f"], outputs=2, body=body, num_scan_inputs=2)
    return {**gates, "c": c, "h": h}


def _z(graph, layer, x, h_previous):
    """The pre-activations (..., 4 * units) of a step or of many, in ONNX's order."""

    def product(values, weight):
        # As the operator has it, so that a file holds it once; a runtime turns it when it loads the file.
        weight = graph.add("Transpose", graph.add("Squeeze", weight, np.array([0])), perm=(1, 0))
        return graph.add("MatMul", values, weight)

    kernel, recurrent_kernel, bias = _weights(layer)
    z = graph.add("Add", product(x, kernel), product(h_previous, recurrent_kernel))
    return graph.add("Add", z, bias)


def _activated(graph, layer, z):
    """{"i", "f", "g", "o"} of pre-activations (..., 4 * units)."""
    functions = {"g": layer.activation}
    parts = graph.add("Split", z, outputs=4, axis=-1, num_outputs=4)
    return {
        name: activated(graph, functions.get(name, layer.recurrent_activation), part)
        for name, part in zip(ONNX_ORDER, parts, strict=True)
    }


def _weights(layer):
    """W (1, 4 * units, features), R (1, 4 * units, units) and b (4 * units,) in ONNX's order."""
    of_gates = layer.gate_weights()
    zeros = np.zeros(layer.units)
    kernel, recurrent_kernel, bias = (
        np.concatenate([zeros if of_gates[name][place] is None else of_gates[name][place] for name in ONNX_ORDER], -1)
        for place in range(3)
    )
    return [one.astype("float32") for one in (kernel.T[None], recurrent_kernel.T[None], bias)]


class RealSteps:
    """Sends the real steps of (batch, time) to the front and back."""

    def __init__(self, graph, mask):
        self._graph = graph
        numbers = graph.add("Cast", mask, to=graph.int64)
        self._counts = graph.add("CumSum", numbers, np.array(1))
        ones = graph.add("ConstantOfShape", graph.add("Shape", mask), value=graph.tensor(np.array([1])))
        # Largest at the first real step; the masked ones follow in any order.
        keys = graph.add("Mul", numbers, graph.add("CumSum", ones, np.array(1), reverse=1))
        _, self._order = graph.add("TopK", keys, graph.add("Shape", mask, start=1), outputs=2, axis=1)

    def first(self, x):
        return self._at(x, self._order)

    def shown(self, values, before=None):
        """At a masked step the last real one, before the first zeros, or the state that is given."""
        return self._at(self._with_first(values, before), self._counts)

    def last(self, values, before):
        """(batch, units) after the last real step."""
        add = self._graph.add
        counts = add("Slice", self._counts, np.array([-1]), np.array([np.iinfo("int64").max]), np.array([1]))
        return add("Squeeze", self._at(self._with_first(values, before), counts), np.array([1]))

    def _with_first(self, values, before):
        add = self._graph.add
        if before is None:
            return add("Pad", values, np.array([0, 1, 0, 0, 0, 0]))
        return add("Concat", add("Unsqueeze", before, np.array([1])), values, axis=1)

    def _at(self, values, steps):
        steps = self._graph.add("Unsqueeze", steps, np.array([-1]))
        return self._graph.add("GatherND", values, steps, batch_dims=1)
