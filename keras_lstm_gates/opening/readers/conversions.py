"""The arrays of one layer as other versions and kernels keep them, turned into those of Keras 3."""

import keras
import numpy as np

CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Conv2DTranspose)


def number_of_arrays(layer, variables, version):
    """How many arrays a file has for a layer: Keras 1 kept each gate's own."""
    if version.startswith("1"):
        if isinstance(layer, keras.layers.LSTMCell):
            return 12
        if isinstance(layer, keras.layers.GRUCell):
            return 9
    return len(variables)


def converted(layer, arrays, expected, version="", backend=""):
    """A layer's arrays in the layout of Keras 3.

    Args:
        layer: layer or cell.
        arrays: list of arrays, as the file has them.
        expected: list of the shapes of its variables.
        version, backend: str, of the Keras that wrote them.

    Returns:
        The list of arrays; where nothing is known of another layout, the same.
    """
    if len(arrays) == 12 and isinstance(layer, keras.layers.LSTMCell):
        # Keras 1: the gates i, c, f, o, each with its kernel, its recurrent kernel and its bias.
        return [np.concatenate([arrays[gate + part] for gate in (0, 6, 3, 9)], axis=-1) for part in range(3)]
    if len(arrays) == 9 and isinstance(layer, keras.layers.GRUCell):
        return [np.concatenate([arrays[gate + part] for gate in (0, 3, 6)], axis=-1) for part in range(3)]
    if isinstance(layer, (keras.layers.LSTMCell, keras.layers.GRUCell)) and len(arrays) == 3:
        gates = 4 if isinstance(layer, keras.layers.LSTMCell) else 3
        if arrays[2].shape == (2 * gates * len(arrays[1]),) and arrays[1].shape == (
            len(arrays[1]),
            gates * len(arrays[1]),
        ):
            return _from_cudnn(arrays, gates, expected[2])
    if isinstance(layer, CONVOLUTIONS):
        kernel = arrays[0]
        if version.startswith("1") and isinstance(layer, keras.layers.Conv1D) and kernel.ndim == 4:
            kernel = kernel[:, 0]
        if backend == "theano":
            # Theano convolves, the others correlate.
            kernel = kernel[(slice(None, None, -1),) * (kernel.ndim - 2)]
        return [kernel, *arrays[1:]]
    return arrays


def _from_cudnn(arrays, gates, bias_shape):
    """cuDNN keeps each gate's matrices transposed, and a bias for x and one for h, side by side."""
    kernel, recurrent, bias = arrays
    kernel = np.hstack([part.T.reshape(part.shape, order="F") for part in np.hsplit(kernel, gates)])
    recurrent = np.hstack([part.T for part in np.hsplit(recurrent, gates)])
    halves = bias.reshape(2, -1)
    # Keras's LSTM has their sum; its GRU keeps both.
    return [kernel, recurrent, halves if tuple(bias_shape) == halves.shape else halves.sum(axis=0)]
