"""Damage to .tflite files: of their bytes, and of the graphs in them."""

import numpy as np


def mutated(content, rng):
    """(name of the mutation, bytes), drawn with `rng`."""
    kinds = BYTES if rng.random() < 0.4 else GRAPHS
    name = list(kinds)[int(rng.integers(len(kinds)))]
    if kinds is BYTES:
        return name, kinds[name](bytearray(content), rng)
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for _ in range(int(rng.choice([1, 1, 1, 2, 5]))):
        if any(graph.operators for graph in model.subgraphs):
            kinds[name](model, rng)
    return name, bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _range(content, rng):
    start = int(rng.integers(len(content)))
    return start, min(len(content), start + int(10 ** rng.uniform(0, 4)))


def flipped(content, rng):
    """Some bytes become others; mostly not those of the identifier."""
    for place in rng.integers(8 if rng.random() < 0.95 else 0, len(content), int(10 ** rng.uniform(0, 2))):
        content[place] ^= int(rng.integers(1, 256))
    return bytes(content)


def truncated(content, rng):
    """The end is lost."""
    return bytes(content[: int(rng.integers(len(content)))])


def zeroed(content, rng):
    """A range is zeros, or ones."""
    start, end = _range(content, rng)
    content[start:end] = bytes([int(rng.choice([0, 255]))]) * (end - start)
    return bytes(content)


def swapped(content, rng):
    """Two pieces change places."""
    places = sorted(int(place) for place in rng.integers(8, len(content), 4))
    a, b, c, d = places
    return bytes(content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:])


def inserted(content, rng):
    """Bytes come in between, or are left out."""
    start, end = _range(content, rng)
    more = rng.bytes(end - start) if rng.random() < 0.5 else b""
    return bytes(content[:start] + more + content[start if more else end :])


def foreign(content, rng):
    """Another file under this name, some with the identifier of TFLite."""
    kind = int(rng.integers(4))
    other = [
        rng.bytes(int(rng.integers(2000))),
        b"PK\x03\x04" + rng.bytes(500),
        b'{"format": "keras"}' * 20,
        bytes(content[:4]) + b"TFL3" + rng.bytes(len(content) - 8),
    ][kind]
    return other if rng.random() < 0.5 else other[:4] + b"TFL3" + other[8:]


def _graph(model, rng):
    # Another mutation may have left a graph without operators.
    return _one([graph for graph in model.subgraphs if graph.operators], rng)


def _one(items, rng):
    return items[int(rng.integers(len(items)))]


def _number(rng):
    return int(rng.choice([-1, 0, 1, 2, 3, 7, 64, 255, 10_000, 2**16, 2**30, 2**31 - 1, -2, -(2**31)]))


def _put(items, rng, low=None):
    """One of a list of numbers becomes another; the list may be an array, or missing."""
    items = [int(item) for item in ([] if items is None else items)]
    if items:
        number = _number(rng) if low is None or rng.random() < 0.5 else int(rng.integers(low))
        items[int(rng.integers(len(items)))] = number
    return items


def operands(model, rng):
    """An operator reads or writes another tensor."""
    graph = _graph(model, rng)
    one = _one(graph.operators, rng)
    side = "inputs" if rng.random() < 0.6 else "outputs"
    setattr(one, side, _put(getattr(one, side), rng, len(graph.tensors)))


def ends(model, rng):
    """A graph's own inputs or outputs are others, or one is lost."""
    graph = _graph(model, rng)
    side = "inputs" if rng.random() < 0.5 else "outputs"
    items = _put(getattr(graph, side), rng, len(graph.tensors))
    setattr(graph, side, items[:-1] if rng.random() < 0.3 else items)


def shapes(model, rng):
    """A tensor has another shape, perhaps a huge one."""
    tensor = _one(_graph(model, rng).tensors, rng)
    shape = _put(tensor.shape, rng)
    if rng.random() < 0.3:
        shape = shape[:-1] if rng.random() < 0.5 else [*shape, _number(rng)]
    tensor.shape = shape
    if tensor.shapeSignature is not None and rng.random() < 0.5:
        tensor.shapeSignature = _put(tensor.shapeSignature, rng)


def types(model, rng):
    """A tensor has another dtype."""
    _one(_graph(model, rng).tensors, rng).type = int(rng.integers(18))


def buffers(model, rng):
    """A tensor's numbers are another's, or are cut, or none."""
    if rng.random() < 0.5:
        _one(_graph(model, rng).tensors, rng).buffer = int(rng.integers(len(model.buffers) + 3))
        return
    one = _one([one for one in model.buffers if one.data is not None and len(one.data)], rng)
    one.data = None if rng.random() < 0.3 else np.array(one.data, "uint8")[: int(rng.integers(len(one.data)))]


def constants(model, rng):
    """A small constant, such as an axis, a shape or a beginning, is another."""
    small = [one for one in model.buffers if one.data is not None and 0 < len(one.data) <= 32]
    if not small:
        return
    one = _one(small, rng)
    values = np.frombuffer(np.array(one.data, "uint8").tobytes()[: len(one.data) // 4 * 4], "int32").copy()
    if len(values):
        values[int(rng.integers(len(values)))] = _number(rng)
        one.data = np.frombuffer(values.tobytes(), "uint8")


def codes(model, rng):
    """An operator is another."""
    if rng.random() < 0.5:
        one = _one(model.operatorCodes, rng)
        one.builtinCode = int(rng.integers(210))
        one.deprecatedBuiltinCode = min(one.builtinCode, 127)
    else:
        place = int(rng.integers(len(model.operatorCodes) + 2))
        _one(_graph(model, rng).operators, rng).opcodeIndex = place


def options(model, rng):
    """An operator's settings are lost, or one of their numbers is another: a loop's graph, an axis."""
    one = _one([one for graph in model.subgraphs for one in graph.operators if one.builtinOptions is not None], rng)
    numbers = [name for name, value in vars(one.builtinOptions).items() if isinstance(value, int)]
    if not numbers or rng.random() < 0.2:
        one.builtinOptions, one.builtinOptionsType = None, 0
        return
    name = _one(numbers, rng)
    old = getattr(one.builtinOptions, name)
    limit = 1 if isinstance(old, bool) else 100
    setattr(one.builtinOptions, name, type(old)(max(-limit, min(limit, _number(rng)))) if limit > 1 else not old)


def order(model, rng):
    """Two operators change places, or one is lost or comes twice."""
    operators = _graph(model, rng).operators
    first, second = (int(place) for place in rng.integers(len(operators), size=2))
    operators[first], operators[second] = operators[second], operators[first]
    if rng.random() < 0.5:
        operators.pop(first)
    elif rng.random() < 0.5:
        operators.insert(second, operators[first])


def signatures(model, rng):
    """A signature has another name, graph or tensor, or is lost, or there are none."""
    kind, one = int(rng.integers(6)), _one(model.signatureDefs, rng) if model.signatureDefs else None
    if one is None:
        return
    if kind == 0:
        one.signatureKey = _one([b"", b"predict", b"step", b"gates", b"\xff\xfe", b"other\nline"], rng)
    elif kind == 1:
        one.subgraphIndex = int(rng.integers(len(model.subgraphs) + 2))
    elif kind == 2:
        model.signatureDefs = [] if rng.random() < 0.3 else [other for other in model.signatureDefs if other is not one]
    else:
        entries = one.inputs if rng.random() < 0.5 else one.outputs
        if entries:
            entry = _one(entries, rng)
            if kind == 3:
                entry.name = _one([b"", b"x", b"state_h", b"h", b"\xff", b"a" * 1000], rng)
            elif kind == 4:
                entry.tensorIndex = max(0, _number(rng)) if rng.random() < 0.5 else int(rng.integers(20))
            else:
                entries.remove(entry)


def scales(model, rng):
    """A quantized tensor has another scale or zero point."""
    found = [
        tensor.quantization
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.quantization is not None and tensor.quantization.scale is not None and len(tensor.quantization.scale)
    ]
    if not found:
        types(model, rng)
        return
    one = _one(found, rng)
    if rng.random() < 0.5:
        one.scale = [float(rng.choice([0.0, np.nan, np.inf, -1.0, 1e-38]))] * len(one.scale)
    elif rng.random() < 0.5:
        one.scale = list(one.scale)[:-1]
    else:
        one.zeroPoint = [_number(rng)]


BYTES = {
    one.__name__: one for one in (flipped, flipped, truncated, zeroed, swapped, inserted, foreign)
}  # fmt: skip
GRAPHS = {
    one.__name__: one
    for one in (operands, ends, shapes, types, buffers, constants, codes, options, order, signatures, scales)
}
