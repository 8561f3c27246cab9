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
    """The nodes of a `MultiHeadAttention` over time.

    Args:
        masks: query_mask, value_mask, key_mask, bool (batch, time), and attention_mask, bool (batch, time, time).

    Raises:
        ValueError: over other axes than time.
    """
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
    mask = _of_heads(graph, use_causal_mask, of_query, of_key, **masks)
    # Keras computes the scores by themselves in two cases; only there a row without any real step has none.
    apart = return_attention_scores or layer.get_config()["dropout"] > 0
    weights = masked_softmax(graph, scores, mask, axis=-1, zeroed=apart)
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
    """The nodes of an `Attention` by products; the masks are those of the query and the value."""
    if layer.score_mode != "dot":
        raise ValueError(f"its score_mode is {layer.score_mode!r}; expected 'dot'")
    query, value, *key = values
    turned = graph.add("Transpose", key[0] if key else value, perm=(0, 2, 1))
    scores = graph.add("MatMul", query, turned)
    if layer.use_scale:
        scores = graph.add("Mul", scores, np.asarray(layer.scale, "float32"))
    return _seen(graph, scores, value, mask, return_attention_scores, use_causal_mask)


def additive_attention(graph, layer, values, mask=None, return_attention_scores=False, use_causal_mask=False, **_):
    """The nodes of an `AdditiveAttention`; the masks are those of the query and the value."""
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


def masked_softmax(graph, x, mask, axis, zeroed=True):
    """The nodes of a softmax without what is masked; `zeroed`: where all is, the shares are 0, else they are equal."""
    if mask is None:
        return graph.add("Softmax", x, axis=axis)
    weights = graph.add("Softmax", graph.add("Where", mask, x, np.float32(-1e9)), axis=axis)
    return graph.add("Where", mask, weights, np.float32(0)) if zeroed else weights


def _of_heads(graph, causal, query, key, query_mask=None, value_mask=None, key_mask=None, attention_mask=None):
    """The mask of (batch, heads, query, key) that several masks make, or None."""
    parts = []
    if query_mask is not None:
        parts.append(graph.add("Unsqueeze", query_mask, np.array([1, 3])))
    for mask in (value_mask, key_mask):
        if mask is not None:
            parts.append(graph.add("Unsqueeze", mask, np.array([1, 2])))
    if attention_mask is not None:
        raise ValueError("it has an attention_mask of its own")
    if causal:
        parts.append(_causal(graph, graph.add("Shape", query, start=2, end=3), graph.add("Shape", key, start=3)))
    for one in parts[1:]:
        parts[0] = graph.add("And", parts[0], one)
    return parts[0] if parts else None


def _causal(graph, queries, keys):
    """bool (query, key): whether a query's place is not before the key's."""
    zero, one = np.array(0), np.array(1)
    rows = graph.add("Range", zero, graph.add("Squeeze", queries), one)
    columns = graph.add("Range", zero, graph.add("Squeeze", keys), one)
    return graph.add("GreaterOrEqual", graph.add("Unsqueeze", rows, np.array([1])), columns)


def _seen(graph, scores, value, masks, with_scores, causal):
    query_mask, value_mask, *_ = masks or (None, None)
    mask = None if value_mask is None else graph.add("Unsqueeze", value_mask, np.array([1]))
    if causal:
        before = _causal(graph, graph.add("Shape", scores, start=1, end=2), graph.add("Shape", scores, start=2))
        mask = before if mask is None else graph.add("And", mask, before)
    if mask is not None:
        # Keras takes a large number off, so that a row without any real step is spread over all.
        padding = graph.add("Cast", graph.add("Not", mask), to=graph.float32)
        scores = graph.add("Sub", scores, graph.add("Mul", padding, np.float32(1e9)))
    weights = graph.add("Softmax", scores, axis=-1)
    output = graph.add("MatMul", weights, value)
    if query_mask is not None:
        real = graph.add("Cast", graph.add("Unsqueeze", query_mask, np.array([-1])), to=graph.float32)
        output = graph.add("Mul", output, real)
    return (output, weights) if with_scores else output
