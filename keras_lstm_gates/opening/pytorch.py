"""The LSTMs of PyTorch: `from_torch` gives layers of Keras with the same numbers, `to_torch` gives them back."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from keras_lstm_gates._support import sizes
from keras_lstm_gates.layers.bidirectional import Bidirectional
from keras_lstm_gates.layers.lstm import GatedLSTM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from keras_lstm_gates._support.annotations import StrPath


_KEY = re.compile(r"(?:(?P<prefix>.*)\.)?weight_hh_l(?P<layer>\d+)(?P<reverse>_reverse)?")
_DIRECTIONS = ("", "_reverse")


def from_torch(
    source: torch.nn.Module | Mapping[str, Any] | StrPath, prefix: str | None = None
) -> list[keras.layers.Layer]:
    """The layers of a `torch.nn.LSTM`, from the first to the last, with its weights.

    PyTorch's columns are in the order i, f, g, o as Keras's; its two biases are summed. Each layer reads and returns
    (batch, time, features), whatever `batch_first` says; the dropout between PyTorch's layers is not among them.

    Args:
        source: `torch.nn.LSTM` or a module that holds one; its state dict, of tensors or arrays; or the path of such a
            state dict, saved by `torch.save` or as .safetensors. No code of a file is run: `weights_only=True`.
        prefix: str, the place of the LSTM in a state dict that holds a bigger model, such as "encoder.lstm"; None
            where there is one alone.

    Returns:
        list of built `GatedLSTM` with return_sequences=True, of a bidirectional LSTM of
        `keras_lstm_gates.layers.Bidirectional` over such.

    Raises:
        ValueError: "expected prefix, one of ['encoder', 'decoder']; received None", a projection (`proj_size`), a GRU
            or a plain RNN, weights that are missing, or a file that is none of these.
        ModuleNotFoundError: a file of torch.save without torch, .safetensors without safetensors.

    Example:
        `x = keras.Input((None, 3)); model = keras.Model(x, from_torch("model.pt", "encoder.lstm")[0](x))`
    """
    weights = _weights(source)
    by_prefix = {}
    for key in weights:
        match = _KEY.fullmatch(key)
        if match:
            by_prefix.setdefault(match["prefix"] or "", set()).add(int(match["layer"]))
    if prefix is None and len(by_prefix) == 1:
        (prefix,) = by_prefix
    if prefix not in by_prefix:
        if not by_prefix:
            raise ValueError(f"expected the weights of an LSTM, such as 'weight_hh_l0'; received {sorted(weights)[:8]}")
        raise ValueError(f"expected prefix, one of {sorted(by_prefix)}; received {prefix!r}")
    start = f"{prefix}." if prefix else ""
    own = {key.removeprefix(start): value for key, value in weights.items() if key.startswith(start)}
    return [_layer(own, number, prefix) for number in range(max(by_prefix[prefix]) + 1)]


def to_torch(layers: keras.layers.Layer | Sequence[keras.layers.Layer], batch_first: bool = True) -> torch.nn.LSTM:
    """A `torch.nn.LSTM` with the weights of one or more layers of Keras; `.state_dict()` gives them alone.

    Args:
        layers: a layer or a list of them from the first to the last, as `from_torch` gives: built `GatedLSTM` or
            `keras.layers.LSTM`, or `Bidirectional` over such with merge_mode="concat".
        batch_first: bool, of the module.

    Raises:
        ValueError: "cannot give the layer 'lstm' to PyTorch: its activation is 'relu'; expected 'tanh'", or layers that
            do not make one `torch.nn.LSTM`: of other units or directions, or with biases here and not there.
    """
    import torch

    layers = list(layers) if isinstance(layers, list | tuple) else [layers]
    directions = [_directions(layer) for layer in layers]
    kinds = {(len(pair), pair[0].units, pair[0].use_bias) for pair in directions}
    if len(kinds) != 1:
        raise ValueError(f"expected layers of the same (directions, units, use_bias); received {sorted(kinds)}")
    ((count, units, use_bias),) = kinds
    features = [int(pair[0].cell.kernel.shape[0]) for pair in directions]
    if features[1:] != [count * units] * (len(features) - 1):
        raise ValueError(f"expected layers that read {count * units} features after the first; received {features}")
    state = {}
    for number, pair in enumerate(directions):
        for direction, layer in zip(_DIRECTIONS, pair, strict=False):
            kernel, recurrent_kernel, *bias = (np.asarray(one, "float32") for one in layer.get_weights())
            ends = {"weight_ih": kernel.T, "weight_hh": recurrent_kernel.T}
            if bias:
                ends |= {"bias_ih": bias[0], "bias_hh": np.zeros_like(bias[0])}
            for name, values in ends.items():
                state[f"{name}_l{number}{direction}"] = torch.from_numpy(np.ascontiguousarray(values))
    module = torch.nn.LSTM(features[0], units, len(layers), use_bias, batch_first, bidirectional=count == 2)
    module.load_state_dict(state)
    return module.eval()


class _Numbers(NamedTuple):
    """The weights of one direction of one layer, as `GatedLSTM` has them."""

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray | None


def _layer(weights, number, prefix):
    of_layer = [
        _numbers(weights, f"l{number}{end}", prefix) for end in _DIRECTIONS if f"weight_hh_l{number}{end}" in weights
    ]
    if not of_layer:
        raise ValueError(f"expected the weights 'weight_hh_l{number}' of {prefix or 'the LSTM'!r}; received none")
    first = of_layer[0]
    units = first.recurrent_kernel.shape[0]
    options = {"return_sequences": True, "use_bias": first.bias is not None}
    layer = GatedLSTM(units, **options)
    if len(of_layer) == 2:
        layer = Bidirectional(layer, merge_mode="concat")
    layer.build((None, None, first.kernel.shape[0]))
    layer.set_weights([one for numbers in of_layer for one in numbers if one is not None])
    return layer


def _numbers(weights, end, prefix):
    name = f"{prefix}.weight_hh_{end}" if prefix else f"weight_hh_{end}"
    recurrent = weights[f"weight_hh_{end}"]
    if f"weight_hr_{end}" in weights:
        raise ValueError(
            f"expected an LSTM without projections; received {name.replace('hh', 'hr')!r}, of proj_size > 0"
        )
    if recurrent.ndim != 2 or recurrent.shape[0] != 4 * recurrent.shape[1]:
        kinds = {1: ", as of a plain RNN", 3: ", as of a GRU"}
        kind = (
            kinds.get(recurrent.shape[0] / recurrent.shape[1], "") if recurrent.ndim == 2 and recurrent.shape[1] else ""
        )
        raise ValueError(f"expected {name!r} of shape (4 * units, units), an LSTM's; received {recurrent.shape}{kind}")
    if f"weight_ih_{end}" not in weights:
        raise ValueError(f"expected {name.replace('hh', 'ih')!r} beside {name!r}; received none")
    inputs = weights[f"weight_ih_{end}"]
    if inputs.ndim != 2 or inputs.shape[0] != recurrent.shape[0]:
        raise ValueError(
            f"expected {name.replace('hh', 'ih')!r} of shape ({recurrent.shape[0]}, features); received {inputs.shape}"
        )
    biases = [weights[f"{one}_{end}"] for one in ("bias_ih", "bias_hh") if f"{one}_{end}" in weights]
    if any(one.shape != recurrent.shape[:1] for one in biases):
        raise ValueError(f"expected biases of shape {recurrent.shape[:1]} beside {name!r}; received {biases[0].shape}")
    # In float64, so that the sum is rounded once.
    bias = sum(one.astype("float64") for one in biases) if biases else None
    return _Numbers(inputs.T, recurrent.T, bias)


def _directions(layer):
    """The layers of a layer: itself, or the two of a `Bidirectional`, the forward one first."""
    if isinstance(layer, keras.layers.Bidirectional | Bidirectional):
        if layer.merge_mode != "concat":
            raise _cannot(layer, f"its merge_mode is {layer.merge_mode!r}; expected 'concat'")
        pair = [layer.forward_layer, layer.backward_layer]
        for one in pair:
            _check(one, layer)
        return sorted(pair, key=lambda one: one.go_backwards)
    _check(layer, layer)
    if layer.go_backwards:
        raise _cannot(layer, "it reads backwards; expected go_backwards=False, or a Bidirectional")
    return [layer]


def _check(layer, outer):
    if type(layer) not in (GatedLSTM, keras.layers.LSTM) or not layer.built:
        raise _cannot(outer, f"it is a {type(layer).__name__}; expected a built GatedLSTM or LSTM")
    for name, expected in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        received = getattr(layer, name)
        if received is not getattr(keras.activations, expected):
            raise _cannot(outer, f"its {name} is {getattr(received, '__name__', received)!r}; expected {expected!r}")


def _cannot(layer, why):
    return ValueError(f"cannot give the layer {layer.name!r} to PyTorch: {why}")


def _weights(source):
    """{key: array} of a module, a state dict or a file."""
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None:
        source = _read(path)
    elif callable(getattr(source, "state_dict", None)):
        source = source.state_dict()
    if not isinstance(source, dict):
        raise ValueError(f"expected a torch.nn.LSTM, a state dict or a file of one; received a {type(source).__name__}")
    try:
        weights = dict(_flat(source, set()))
    except RecursionError:
        raise ValueError("expected a state dict; received dicts within dicts without end") from None
    if path is not None:
        # A tensor may repeat what the file holds once.
        sizes.check(sum(math.prod(one.shape) * one.dtype.itemsize for one in weights.values()), path.stat().st_size)
    return {key: _array(key, value) for key, value in weights.items()}


def _flat(weights, seen, start=""):
    """The tensors or arrays of a state dict, or of a checkpoint that holds one, by their whole keys."""
    seen.add(id(weights))
    for key, value in weights.items():
        if isinstance(value, dict):
            if id(value) not in seen:
                yield from _flat(value, seen, f"{start}{key}.")
        elif isinstance(key, str) and hasattr(value, "shape"):
            yield f"{start}{key}", value


def _array(key, value):
    try:
        # NumPy has no bfloat16.
        value = value.detach().cpu().float().numpy() if hasattr(value, "detach") else value
        return np.asarray(value)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"expected {key!r} to be a tensor of numbers: {_one_line(error)}") from None


def _read(path):
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    with path.open("rb") as file:
        size, begin = int.from_bytes(file.read(8), "little"), file.read(1)
    if begin == b"{" and size < path.stat().st_size:
        try:
            from safetensors.numpy import load_file
        except ImportError:
            raise ModuleNotFoundError("expected safetensors; pip install 'keras_lstm_gates[torch]'") from None
        try:
            return load_file(path)
        except Exception as error:
            raise ValueError(f"{path} is no whole .safetensors file of numbers: {_one_line(error)}") from None
    try:
        import torch
    except ImportError:
        raise ModuleNotFoundError("expected torch; pip install 'keras_lstm_gates[torch]'") from None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"expected {path} to be a state dict, saved by torch.save(model.state_dict(), path) or as .safetensors; no "
            f"code of a file is run: {_one_line(error)}"
        ) from None


def _one_line(error):
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:120]}"
