"""The graphs within a .tflite file: what is in them, and changes that ai-edge-quantizer leaves to others.

NumPy and the LiteRT interpreter's tools only.
"""

import copy

import numpy as np

SMALL_TABLE = 1024
"""Numbers; a smaller table than this stays as it is."""


def read(content):
    """The file as Python objects, with tensors, operators and buffers as lists."""
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def graph_bytes(content):
    """What a file takes beside its weights: its operators, a few hundred bytes for each step that is written out."""
    return len(content) - sum(len(one.data) for one in read(content).buffers if one.data is not None)


def operators(model, subgraph):
    """[(name, operator)] of a graph in the order in which they run."""
    from ai_edge_litert.tools import flatbuffer_utils

    return [(flatbuffer_utils.opcode_to_name(model, one.opcodeIndex), one) for one in subgraph.operators]


def named(content):
    """The file with a name for every tensor: by these ai-edge-quantizer knows them, and a compact file has few."""
    model, changed = read(content), False
    for graph, subgraph in enumerate(model.subgraphs):
        for place, tensor in enumerate(subgraph.tensors):
            if not tensor.name:
                tensor.name, changed = f"tensor {place} of graph {graph}".encode(), True
    return written(model) if changed else bytes(content)


def signed(content):
    """The file with a signature `serving_default` of its tensors' own names, where it has none, as before 2021."""
    from ai_edge_litert.schema_py_generated import SignatureDefT, TensorMapT

    model = read(content)
    if model.signatureDefs:
        return bytes(content)
    (graph, *_) = model.subgraphs

    def named(places):
        found = {}
        for place in places:
            name = graph.tensors[place].name or b"tensor"
            tensor = TensorMapT()
            tensor.name, tensor.tensorIndex = (f"{name.decode()}_{place}".encode() if name in found else name), place
            found[tensor.name] = tensor
        return [*found.values()]

    signature = SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    signature.inputs, signature.outputs = named(graph.inputs), named(graph.outputs)
    model.signatureDefs = [signature]
    return written(model)


def operator_code(model, name, version):
    """The place of an operator among the file's operator codes, where it is put if it is new."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator, OperatorCodeT
    from ai_edge_litert.tools import flatbuffer_utils

    for place in range(len(model.operatorCodes)):
        if flatbuffer_utils.opcode_to_name(model, place) == name:
            return place
    code = OperatorCodeT()
    code.builtinCode = getattr(BuiltinOperator, name)
    # Once a byte.
    code.deprecatedBuiltinCode = min(code.builtinCode, BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def signatures_with(names, content):
    """The signatures whose graph has an operator of these names."""
    model = read(content)
    return {
        signature.signatureKey.decode()
        for signature in model.signatureDefs
        if names & {name for name, _ in operators(model, model.subgraphs[signature.subgraphIndex])}
    }


def rewired(content):
    """The file with every operator on whole numbers reading whole numbers, and graphs that keep what signatures give.

    ai-edge-quantizer 0.10.0 gives the last operator of a graph the float copy of what is also an output of the graph
    (`operators[-1]` in its dequant_insert.py, where -1 stands for the graph itself), and the file does not run. Of an
    output in float that is read in whole numbers too, the graph keeps the copy, and the signature names the memory of
    the original, which later operators write over.
    """
    from ai_edge_litert.schema_py_generated import TensorType

    model, changed = read(content), False
    for signature in model.signatureDefs:
        changed |= _keep_outputs(model, signature)
    for subgraph in model.subgraphs:
        source = {one.outputs[0]: one.inputs[0] for name, one in operators(model, subgraph) if name == "DEQUANTIZE"}
        for name, one in operators(model, subgraph):
            kinds = [subgraph.tensors[place].type for place in one.outputs]
            if name in ("QUANTIZE", "DEQUANTIZE") or not {TensorType.INT8, TensorType.INT16} & set(kinds):
                continue
            inputs = [source.get(place, place) for place in one.inputs]
            changed |= inputs != list(one.inputs)
            one.inputs = inputs
    return written(model) if changed else bytes(content)


def _keep_outputs(model, signature):
    """Let a graph give the tensors of its signature in the place of copies of them; whether there were any."""
    subgraph, wanted = model.subgraphs[signature.subgraphIndex], {one.tensorIndex for one in signature.outputs}
    copied = {
        one.outputs[0]: one.inputs[0] for name, one in operators(model, subgraph) if name in ("QUANTIZE", "DEQUANTIZE")
    }
    before = [int(place) for place in subgraph.outputs]
    kept = []
    for place in before:
        original = place
        while original not in wanted and original in copied:
            original = copied[original]
        kept.append(int(original if original in wanted else place))
    subgraph.outputs = kept
    return kept != before


def without_negative_indices(content):
    """The file without the SELECT of int32 that counts a gather's negative indices from the end.

    TFLM knows no such operator. From then on indices have to be 0 or more.
    """
    model, changed = read(content), False
    for subgraph in model.subgraphs:
        named = operators(model, subgraph)
        writer = {one.outputs[0]: (name, one) for name, one in named}
        for name, select in named:
            if name not in ("SELECT", "SELECT_V2"):
                continue
            test, other, index = (int(place) for place in select.inputs)
            parts = [writer.get(place, (None, None)) for place in (test, other)]
            if [part for part, _ in parts] != ["LESS", "ADD"] or any(one.inputs[0] != index for _, one in parts):
                continue
            for _, one in named:
                one.inputs = [index if place == select.outputs[0] else place for place in one.inputs]
            # By identity: two operators may be equal.
            gone = {id(one) for one in (select, *(one for _, one in parts))}
            subgraph.operators = [one for one in subgraph.operators if id(one) not in gone]
            changed = True
    return written(model) if changed else bytes(content)


def smaller_tables(content, kind):
    """The file with float32 tables that are gathered from, such as an embedding's, in FLOAT16 or INT8.

    ai-edge-quantizer leaves them in float32. The rows that are gathered become float32 again. INT8 has one scale for
    the table, its largest number / 127, and keeps zeros.
    """
    from ai_edge_litert.schema_py_generated import TensorType

    model, done = read(content), {}
    for subgraph in model.subgraphs:
        for name, one in operators(model, subgraph):
            if name != "GATHER":
                continue
            table, rows = (subgraph.tensors[place] for place in (one.inputs[0], one.outputs[0]))
            data = model.buffers[table.buffer].data
            if table.type != TensorType.FLOAT32 or data is None or len(data) < 4 * SMALL_TABLE:
                continue
            if table.buffer not in done:
                done[table.buffer] = _smaller(np.frombuffer(bytes(data), "float32"), kind)
            stored, scale = done[table.buffer]
            _gather_smaller(model, subgraph, one, table, rows, getattr(TensorType, kind), scale)
    for place, (stored, _) in done.items():
        model.buffers[place].data = np.frombuffer(stored.tobytes(), "uint8")
    return written(model) if done else bytes(content)


def _smaller(values, kind):
    if kind == "FLOAT16":
        return values.astype("float16"), None
    scale = float(np.abs(values).max()) / 127 or 1.0
    return np.round(values / scale).astype("int8"), scale


def _gather_smaller(model, subgraph, gather, table, rows, kind, scale):
    """Let a gather read another kind of number, and an operator after it make float32 of what it gives."""
    from ai_edge_litert.schema_py_generated import OperatorT, QuantizationParametersT

    gathered = copy.deepcopy(rows)
    gathered.name = rows.name + b"_gathered"
    for tensor in (table, gathered):
        tensor.type = kind
        if scale is not None:
            tensor.quantization = QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]
    subgraph.tensors.append(gathered)
    widen = OperatorT()
    widen.opcodeIndex = operator_code(model, "DEQUANTIZE", 3)
    widen.inputs, widen.outputs = [len(subgraph.tensors) - 1], [gather.outputs[0]]
    gather.outputs = widen.inputs.copy()
    subgraph.operators.insert(subgraph.operators.index(gather) + 1, widen)


def written(model):
    """The bytes of what `read` gave."""
    from ai_edge_litert.tools import flatbuffer_utils

    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
