"""Attention and products of sequences as ONNX operators."""

import numpy as np


def multi_head_attention(
    graph,
    layer,
    query,
    value,
    key=None,
    return_attention_scores=False,
    use_causal_mask=False,
    training=None,
    **masks,
):
    """The nodes of a `MultiHeadAttention` over time, without a mask.

    Raises:
        ValueError: with a mask, or over other axes than time.
    """
    if use_causal_mask or any(mask is not None for mask in masks.values()):
        raise ValueError("it has a mask")
    if len(query.shape) != 3 or len(value.shape) != 3:
        raise ValueError(f"its query is of shape {query.shape}; expected (batch, time, features)")
    key = value if key is None else key

    def projected(x, dense, perm):
        kernel = np.asarray(dense.kernel, "float32")
        x = graph.add("MatMul", x, kernel.reshape(kernel.shape[0], -1))
        if dense.bias is not None:
            x = graph.add("Add", x, np.asarray(dense.bias, "float32").reshape(-1))
        return graph.add("Transpose", graph.add("Reshape", x, np.array([0, 0, *kernel.shape[1:]])), perm=perm)

    heads_first = (0, 2, 1, 3)
    of_query = projected(query, layer.query_dense, heads_first)
    of_key = projected(key, layer.key_dense, (0, 2, 3, 1))
    of_value = projected(value, layer.value_dense, heads_first)
    scores = graph.add("Mul", graph.add("MatMul", of_query, of_key), np.float32(layer.key_dim**-0.5))
    weights = graph.add("Softmax", scores, axis=-1)
    seen = graph.add("Transpose", graph.add("MatMul", weights, of_value), perm=heads_first)
    kernel = np.asarray(layer.output_dense.kernel, "float32")
    width = kernel.shape[0] * kernel.shape[1]
    if kernel.ndim != 3:
        raise ValueError(f"its output has the shape {kernel.shape[2:]}; expected one axis")
    output = graph.add("MatMul", graph.add("Reshape", seen, np.array([0, 0, width])), kernel.reshape(width, -1))
    if layer.output_dense.bias is not None:
        output = graph.add("Add", output, np.asarray(layer.output_dense.bias, "float32"))
    return (output, weights) if return_attention_scores else output


def attention(graph, layer, values, mask=None, return_attention_scores=False, use_causal_mask=False, **_):
    """The nodes of an `Attention` by products, without a mask."""
    if layer.score_mode != "dot":
        raise ValueError(f"its score_mode is {layer.score_mode!r}; expected 'dot'")
    query, value, *key = values
    turned = graph.add("Transpose", key[0] if key else value, perm=(0, 2, 1))
    scores = graph.add("MatMul", query, turned)
    if layer.use_scale:
        scores = graph.add("Mul", scores, np.asarray(layer.scale, "float32"))
    return _seen(graph, scores, value, mask, return_attention_scores, use_causal_mask)


def additive_attention(graph, layer, values, mask=None, return_attention_scores=False, use_causal_mask=False, **_):
    """The nodes of an `AdditiveAttention`, without a mask."""
    query, value, *key = values
    pairs = graph.add(
        "Tanh",
        graph.add(
            "Add",
            graph.add("Unsqueeze", query, np.array([2])),
            graph.add("Unsqueeze", key[0] if key else value, np.array([1])),
        ),
    )
    if layer.use_scale:
        pairs = graph.add("Mul", pairs, np.asarray(layer.scale, "float32"))
    scores = graph.add("ReduceSum", pairs, np.array([-1]), keepdims=0)
    return _seen(graph, scores, value, mask, return_attention_scores, use_causal_mask)


def dot(graph, layer, values, **_):
    """The nodes of a `Dot` of vectors, of sequences, or of one of each."""
    axes = list(layer.axes) if isinstance(layer.axes, list | tuple) else [layer.axes] * 2
    ranks = [len(one.shape) for one in values]
    axes = [axis % rank for axis, rank in zip(axes, ranks, strict=True)]
    if any(rank not in (2, 3) for rank in ranks) or 0 in axes:
        raise ValueError(
            f"it multiplies the axes {layer.axes} of {[one.shape for one in values]}; expected vectors or sequences"
        )
    if layer.normalize:
        # As keras.ops.normalize, whose smallest norm is 1e-12.
        sizes = [graph.add("ReduceL2", one, np.array([axis])) for one, axis in zip(values, axes, strict=True)]
        values = [
            graph.add("Div", one, graph.add("Max", size, np.float32(1e-12)))
            for one, size in zip(values, sizes, strict=True)
        ]
    # A vector is a row on the left and a column on the right.
    left, right = (
        graph.add("Unsqueeze", one, np.array([axis])) if rank == 2 else one
        for one, rank, axis in zip(values, ranks, (1, 2), strict=True)
    )
    left = graph.add("Transpose", left, perm=(0, 2, 1)) if ranks[0] == 3 and axes[0] == 1 else left
    right = graph.add("Transpose", right, perm=(0, 2, 1)) if ranks[1] == 3 and axes[1] == 2 else right
    product = graph.add("MatMul", left, right)
    # Of two vectors Keras keeps one axis of one number.
    gone = [axis for axis, rank in zip((1, 2), ranks, strict=True) if rank == 2]
    gone = gone[:1] if len(gone) == 2 else gone
    return graph.add("Squeeze", product, np.array(gone)) if gone else product


def _seen(graph, scores, value, mask, with_scores, causal):
    if causal or any(one is not None for one in mask or ()):
        raise ValueError("it has a mask")
    weights = graph.add("Softmax", scores, axis=-1)
    output = graph.add("MatMul", weights, value)
    return (output, weights) if with_scores else output
