"""What a .tflite file says of itself: a first graph that runs as it is, names, and the metadata of LiteRT."""

import flatbuffers
import numpy as np

from keras_lstm_gates.exporting.tflite.graphs import operators, read, written

METADATA = b"TFLITE_METADATA"
"""Where https://github.com/tensorflow/tflite-support (metadata_schema.fbs) has them in a file."""
_IDENTIFIER, _PARSER = b"M001", "1.0.0"
_GRAPHS = (
    "condSubgraphIndex",
    "bodySubgraphIndex",
    "thenSubgraphIndex",
    "elseSubgraphIndex",
    "initSubgraphIndex",
)
"""The options of operators that run another graph."""


def documented(content, signatures, summaries, data):
    """Let a .tflite file be used without its signatures, and say what each of them takes and gives.

    - The graph of the first signature is the file's first: that which an interpreter runs when it is not told another.
    - An axis of any length is by default as long as in the data, where the model has run. Some models need so many
      steps, and a graph that fails at its default shape cannot be allocated.
    - Inputs and outputs are called "<signature>/<name>", and the metadata have their meanings.

    Args:
        content: bytes of a .tflite file.
        signatures: {name: `keras_lstm_gates.exporting.signatures.Signature`}, the first of them first.
        summaries: {name: what the signature gives, in one sentence}.
        data: {input: array (samples, time, ...)}.

    Returns:
        bytes of the new file.
    """
    model = read(content)
    of_name = {one.signatureKey.decode(): one for one in model.signatureDefs}
    model.signatureDefs = [of_name[name] for name in signatures]
    _order_graphs(model, [one.subgraphIndex for one in model.signatureDefs])
    for one in model.signatureDefs:
        _name_tensors(model.subgraphs[one.subgraphIndex], one)
    _lengthen_inputs(model, data)
    _lengthen_outputs(model)
    model.description = "; ".join(f"{name}: {summaries[name]}" for name in signatures).encode()
    _add_metadata(model, _metadata(model, signatures, summaries))
    return written(model)


def _order_graphs(model, first):
    """Put these graphs first."""
    order = [*first, *(place for place in range(len(model.subgraphs)) if place not in first)]
    new = {old: place for place, old in enumerate(order)}
    for subgraph in model.subgraphs:
        for _, one in operators(model, subgraph):
            for option in _GRAPHS:
                if hasattr(one.builtinOptions, option):
                    setattr(one.builtinOptions, option, new[getattr(one.builtinOptions, option)])
    model.subgraphs = [model.subgraphs[old] for old in order]
    for one in model.signatureDefs:
        one.subgraphIndex = new[one.subgraphIndex]


def _name_tensors(subgraph, signature):
    for one in (*signature.outputs, *signature.inputs):
        subgraph.tensors[one.tensorIndex].name = signature.signatureKey + b"/" + one.name


def _lengthen_inputs(model, data):
    for one in model.signatureDefs:
        for tensor, name in _free_tensors(model, one, one.inputs):
            if name in data:
                sizes = zip(tensor.shapeSignature, data[name].shape, strict=True)
                tensor.shape = [int(size) if own == -1 else int(own) for own, size in sizes]


def _lengthen_outputs(model):
    """Let the outputs' shapes be those that follow from the inputs', as the file is run: LiteRT's CompiledModel reads
    how much memory they need from the file.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = None
    for one in model.signatureDefs:
        if free := _free_tensors(model, one, one.outputs):
            interpreter = interpreter or Interpreter(model_content=written(model), num_threads=1)
            runner = interpreter.get_signature_runner(one.signatureKey.decode())
            details = runner.get_input_details()
            answers = runner(**{name: np.zeros(each["shape"], each["dtype"]) for name, each in details.items()})
            for tensor, name in free:
                tensor.shape = [int(size) for size in answers[name].shape]


def _free_tensors(model, signature, named):
    """[(tensor, its name in the signature)] of those with an axis of any length."""
    tensors = model.subgraphs[signature.subgraphIndex].tensors
    pairs = [(tensors[one.tensorIndex], one.name.decode()) for one in named]
    return [(tensor, name) for tensor, name in pairs if -1 in (tensor.shapeSignature or ())]


def _metadata(model, signatures, summaries):
    """The bytes of the metadata: a table of the model, of each signature, and of its inputs and outputs."""
    builder = flatbuffers.Builder()
    graphs = []
    for one in model.signatureDefs:
        name, subgraph = one.signatureKey.decode(), model.subgraphs[one.subgraphIndex]
        sides = []
        for side in ("inputs", "outputs"):
            places, named, meanings = getattr(subgraph, side), getattr(one, side), signatures[name].meanings[side]
            names = {tensor.tensorIndex: tensor.name.decode() for tensor in reversed(named)}
            tensors = [(names[place], meanings[names[place]]) for place in places]
            sides.append(_vector(builder, [_table(builder, 7, _strings(builder, *pair)) for pair in tensors]))
        of_graph = dict(enumerate(sides, 2)) | _strings(builder, name, summaries[name])
        graphs.append(_table(builder, 7, of_graph))
    text = _strings(builder, "keras_lstm_gates", model.description.decode())
    of_model = text | {3: _vector(builder, graphs), 7: builder.CreateSharedString(_PARSER)}
    builder.Finish(_table(builder, 8, of_model), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _strings(builder, *texts):
    """{field: where it stands} of the first fields of a table."""
    return {field: builder.CreateSharedString(text) for field, text in enumerate(texts)}


def _table(builder, size, fields):
    builder.StartObject(size)
    for field, place in fields.items():
        builder.PrependUOffsetTRelativeSlot(field, place, 0)
    return builder.EndObject()


def _vector(builder, places):
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return builder.EndVector()


def _add_metadata(model, content):
    from ai_edge_litert.schema_py_generated import BufferT, MetadataT

    buffer, entry = BufferT(), MetadataT()
    buffer.data, entry.name, entry.buffer = np.frombuffer(content, "uint8"), METADATA, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [one for one in model.metadata or () if one.name != METADATA] + [entry]
