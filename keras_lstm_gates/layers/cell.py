"""`GatedLSTMCell`: one step of an LSTM as a Keras RNN cell that can name its gates."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lstm_gates import gates
from keras_lstm_gates.initializers import ChronoBias
from keras_lstm_gates.interventions import kept, serialized
from keras_lstm_gates.layers.steered import numbers_of_step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keras_lstm_gates._support.annotations import Activation
    from keras_lstm_gates.gates import Gates


class GateWeights(NamedTuple):
    """The weights of one gate: W (features, units), R (units, units), b (units,) or None without a bias."""

    W: Any
    R: Any
    b: Any


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class GatedLSTMCell(keras.layers.LSTMCell):
    """`keras.layers.LSTMCell` whose `step` returns the named gates.

    For step t, with x_t (batch, features) and the equations of `keras_lstm_gates.gates`:

        z_t = x_t W + h_{t-1} R + b,   i, f, o = sigmoid(z),   g = tanh(z)
        c_t = i_t * g_t + f_t * c_{t-1},   h_t = o_t * tanh(c_t)

    It takes every argument of `keras.layers.LSTMCell`, has the same three weights in the same order (kernel
    (features, 4 * units), recurrent_kernel (units, 4 * units), bias (4 * units,), columns i, f, g, o) and keeps
    Keras's cell contract, so that `keras.layers.RNN`, `StackedRNNCells` and `Bidirectional` work with it.

    Args:
        units: int > 0. Width of h, c and every gate.
        dropout, recurrent_dropout: float in [0, 1), the share of the inputs, or of h, that training drops. A rate of 1
            drops nothing: as in Keras, whose saved models may have it.
        implementation: 1 or 2, as in Keras: with 1 each gate has a dropout mask of its own, with 2 they share one. The
            0 of old models stands for 2.
        interventions: dict of what acts on any of "i", "f", "g", "o", "c", "h" at every step, for example
            {"i": Set(1.0)}: of `keras_lstm_gates.steering`. A cell knows no step's number: it takes no steps.
        **kwargs: of `keras.layers.LSTMCell`.

    Call arguments:
        inputs: float, (batch, features).
        states: [h, c], each (batch, units).
        training: bool, whether dropout applies.

    Returns:
        h, [h, c], each (batch, units).

    Raises:
        ValueError: "units must be a positive int; received units=0".
        ValueError: "dropout must be a float in [0, 1); received dropout=1.5". (Keras clamps it without a word.)

    Example:
        >>> import numpy as np
        >>> cell = GatedLSTMCell(4)
        >>> state = cell.get_initial_state(batch_size=2)
        >>> tuple(cell.step(np.ones((2, 3), "float32"), state).f.shape)
        (2, 4)
        >>> out, (h, c) = cell(np.ones((2, 3), "float32"), state)
        >>> tuple(out.shape), tuple(c.shape)
        ((2, 4), (2, 4))
    """

    built: bool
    interventions: Any

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | keras.random.SeedGenerator | None = None,
        *,
        implementation: int = 2,
        interventions: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(implementation, numbers.Integral) or implementation not in (0, 1, 2):
            raise ValueError(f"implementation must be 1 or 2; received implementation={implementation!r}")
        super().__init__(
            _positive_int("units", units),
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=_rate("dropout", dropout),
            recurrent_dropout=_rate("recurrent_dropout", recurrent_dropout),
            seed=seed,
            implementation=int(implementation),
            **kwargs,
        )
        if self.unit_forget_bias and isinstance(self.bias_initializer, ChronoBias):
            raise ValueError(
                "ChronoBias sets the bias of the forget gate: expected unit_forget_bias=False with it; received True"
            )
        self.interventions = kept(interventions)

    def step(
        self,
        x_t: Any,
        states: Sequence[Any],
        training: bool | None = False,
        interventions: Mapping[str, Any] | None = None,
    ) -> Gates:
        """One step: x_t (batch, features) and [h, c] to `Gates(i, f, g, o, c, h)`, each (batch, units).

        Args:
            interventions: {name: (scale, shift)} that act after the cell's own, each broadcastable to (batch, units);
                or as those of the cell.
        """
        if not self.built:
            self.build(ops.shape(x_t))
            self.built = True
        h, c = states
        z = self.input_product(x_t, training) + self.recurrent_product(h, training)
        act = numbers_of_step(self.interventions, interventions, self.units, c)
        return gates.step(z, c, self.activation, self.recurrent_activation, act)

    def call(self, inputs: Any, states: Sequence[Any], training: bool | None = False) -> tuple[Any, list[Any]]:
        now = self.step(inputs, states, training)
        return now.h, [now.h, now.c]

    def input_product(self, x: Any, training: bool | None = False) -> Any:
        """x W + b under this batch's input dropout; x (batch, features) or (time, batch, features)."""
        masks = None
        if training and 0 < self.dropout < 1:
            masks = self.get_dropout_mask(x if len(x.shape) == 2 else x[0])
        z = _product(x, masks, self.kernel)
        return z if self.bias is None else z + self.bias

    def recurrent_product(self, h: Any, training: bool | None = False) -> Any:
        """h R under this batch's recurrent dropout; h (batch, units)."""
        masks = self.get_recurrent_dropout_mask(h) if training and 0 < self.recurrent_dropout < 1 else None
        return _product(h, masks, self.recurrent_kernel)

    def gate_weights(self) -> dict[str, GateWeights]:
        """The weights of each gate by name.

        Returns:
            {"i": `GateWeights(W, R, b)`, "f": ..., "g": ..., "o": ...}, NumPy arrays W (features, units), R (units,
            units), b (units,) or None.

        Raises:
            ValueError: the cell has no weights yet.

        Example:
            >>> cell = GatedLSTMCell(4)
            >>> cell.build((None, 3))
            >>> cell.gate_weights()["f"].b.tolist()  # unit_forget_bias
            [1.0, 1.0, 1.0, 1.0]
        """
        blocks: list = [np.split(weight, 4, axis=-1) for weight in self._built_weights()]
        if self.bias is None:
            blocks.append([None] * 4)
        return dict(zip(gates.KERNEL_ORDER, (GateWeights(*parts) for parts in zip(*blocks, strict=True)), strict=True))

    def set_gate_weights(self, weights: Mapping[str, GateWeights]) -> None:
        """Set the weights of one or more gates by name; the other gates keep theirs.

        Args:
            weights: {gate: `GateWeights(W, R, b)`}, as `gate_weights` gives them.

        Raises:
            ValueError: an unknown gate, or arrays of another shape.
        """
        changed = self.gate_weights()
        for name, new in weights.items():
            if name not in changed:
                raise ValueError(f"expected gates among {gates.KERNEL_ORDER}; received {name!r}")
            received = [None if part is None else np.shape(part) for part in new]
            expected = [None if part is None else part.shape for part in changed[name]]
            if received != expected:
                raise ValueError(f"expected W, R, b of gate {name!r} with shapes {expected}; received {received}")
            changed[name] = new
        in_order = zip(*(changed[name] for name in gates.KERNEL_ORDER), strict=True)
        for variable, parts in zip((self.kernel, self.recurrent_kernel, self.bias), in_order, strict=True):
            if variable is not None:
                variable.assign(np.concatenate(parts, axis=-1))

    def _built_weights(self):
        if not self.built:
            raise ValueError(f"the cell {self.name!r} has no weights yet; expected it to be built on its first input")
        weights = (self.kernel, self.recurrent_kernel, self.bias)
        return [ops.convert_to_numpy(weight) for weight in weights if weight is not None]

    def get_config(self) -> dict[str, Any]:
        interventions = serialized(self.interventions)
        return {**super().get_config(), "implementation": self.implementation, "interventions": interventions}


def _positive_int(name, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value <= 0:
        raise ValueError(f"{name} must be a positive int; received {name}={value!r}")
    return int(value)


def _rate(name, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a float in [0, 1); received {name}={value!r}")
    return float(value)


def _product(x, masks, weights):
    """x times the weights of all four gates, x multiplied before by one dropout mask or by a list of one a gate."""
    if isinstance(masks, list):
        blocks = ops.split(weights, 4, axis=1)
        return ops.concatenate(
            [ops.matmul(x * mask, block) for mask, block in zip(masks, blocks, strict=True)], axis=-1
        )
    return ops.matmul(x if masks is None else x * masks, weights)
