"""What one may do to a gate or a state of an LSTM: set, scale, shift or replace it, at chosen units, steps and samples.

Each is value = scale * value + shift at the chosen places, and several in a list are again one scale and one shift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
from keras import ops

from keras_lstm_gates.gates import Gates, Intervention

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import ArrayLike

    from keras_lstm_gates._support.annotations import Places

_AXES = ("samples", "steps", "units")


class _Chosen:
    """value = scale * value + shift at chosen places.

    Args:
        units: int, slice, list of ints or bool mask (units,); None for all.
        steps: the same of the time steps, as a trace counts them, from 0. A slice may reach beyond the last step.
        samples: the same of the sequences of a batch, whose size then has to be known.
    """

    scale: Any = 1.0
    shift: Any = 0.0

    def __init__(self, units: Places = None, steps: Places = None, samples: Places = None) -> None:
        self.units, self.steps, self.samples = (_selector(one) for one in (units, steps, samples))

    def of(self, path: str | None, gate: str) -> _Chosen:
        """This intervention where it needs no trace any more."""
        return self

    def get_config(self) -> dict[str, Any]:
        chosen = {name: getattr(self, name) for name in _AXES}
        return {
            name: {"slice": [one.start, one.stop, one.step]} if isinstance(one, slice) else one
            for name, one in chosen.items()
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**{name: slice(*one["slice"]) if isinstance(one, dict) else one for name, one in config.items()})

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_config().items())})"

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    __hash__ = None  # type: ignore[assignment]


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class Set(_Chosen):
    """Sets a gate or a state to a number: Set(0.0) closes a gate, Set(1.0) opens it.

    Example:
        >>> Set(1.0, units=[3, 5]).scale, Set(1.0, units=[3, 5]).shift
        (0.0, 1.0)
    """

    scale = 0.0

    def __init__(self, value: float, units: Places = None, steps: Places = None, samples: Places = None) -> None:
        super().__init__(units, steps, samples)
        self.shift = _number("value", value)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.shift, **super().get_config()}


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class Scale(_Chosen):
    """Multiplies a gate or a state by a number."""

    def __init__(self, factor: float, units: Places = None, steps: Places = None, samples: Places = None) -> None:
        super().__init__(units, steps, samples)
        self.scale = _number("factor", factor)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.scale, **super().get_config()}


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class Shift(_Chosen):
    """Adds a number to a gate or a state."""

    def __init__(self, amount: float, units: Places = None, steps: Places = None, samples: Places = None) -> None:
        super().__init__(units, steps, samples)
        self.shift = _number("amount", amount)

    def get_config(self) -> dict[str, Any]:
        return {"amount": self.shift, **super().get_config()}


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class Replace(_Chosen):
    """Replaces a gate or a state by the values that it had in another run: activation patching.

    Args:
        values: array that broadcasts to (sample, time, unit), the values of all places, of which the chosen ones are
            used; or a trace, or one LSTM of it, which has this gate.
    """

    scale = 0.0

    def __init__(
        self,
        values: ArrayLike | xr.DataTree | xr.Dataset,
        units: Places = None,
        steps: Places = None,
        samples: Places = None,
    ) -> None:
        super().__init__(units, steps, samples)
        self._trace = values if _is_trace(values) else None
        self.shift = None if self._trace is not None else _array(values)

    def of(self, path: str | None, gate: str) -> Replace:
        if self._trace is None:
            return self
        return type(self)(_flat(_node(self._trace, path, gate)[gate]), self.units, self.steps, self.samples)

    def get_config(self) -> dict[str, Any]:
        if self._trace is not None:
            raise ValueError("expected values, or a layer that this intervention acts on; received a trace alone")
        return {"values": self.shift.tolist(), **super().get_config()}


class Mean(_Chosen):
    """Replaces a gate or a state by its mean in a trace, a number a unit: what it does without telling anything apart.

    Args:
        trace: what `keras_lstm_gates.trace` gives, or one LSTM of it. The mean is over all samples and real steps.
    """

    def __init__(
        self, trace: xr.DataTree | xr.Dataset, units: Places = None, steps: Places = None, samples: Places = None
    ) -> None:
        super().__init__(units, steps, samples)
        if not _is_trace(trace):
            raise ValueError(
                "Mean expected a trace, or one LSTM of it, which know the real steps; "
                f"received a {type(trace).__name__}"
            )
        self._trace = trace

    def of(self, path: str | None, gate: str) -> Replace:
        node = _node(self._trace, path, gate)
        values, real = _flat(node[gate]), np.asarray(node["mask"], bool).reshape(-1, node["mask"].shape[-1])
        if not real.any():
            raise ValueError(f"Mean of {gate!r} expected a trace with one or more real steps; received none")
        return Replace(values[real].mean(axis=0, dtype="float64"), self.units, self.steps, self.samples)

    def get_config(self) -> dict[str, Any]:
        raise ValueError("expected a layer that this intervention acts on; received a trace alone")


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class _Pair(_Chosen):
    """A scale and a shift that are given as arrays."""

    def __init__(self, scale, shift, **chosen):
        super().__init__(**chosen)
        self.scale, self.shift = _array(scale), _array(shift)

    def get_config(self):
        return {"scale": self.scale.tolist(), "shift": self.shift.tolist(), **super().get_config()}


def listed(interventions: Any, gate: str, path: str | None = None) -> list[Any]:
    """A list of what acts on a gate, in order, of an intervention, a list of them, or (scale, shift).

    Raises:
        ValueError: "interventions on 'f' expected Set, Scale, Shift, Replace, Mean, a list of them, or (scale, shift);
            received 0.5".
    """
    several = list(interventions) if isinstance(interventions, (list, tuple)) else [interventions]
    if len(several) == 2 and not any(isinstance(one, _Chosen) for one in several):
        several = [_Pair(*several)]
    for one in several:
        if not isinstance(one, _Chosen):
            raise ValueError(
                f"interventions on {path or gate!r} expected Set, Scale, Shift, Replace, Mean, a list of them, or "
                f"(scale, shift); received {one!r}"
            )
    return [one.of(path, gate) for one in several]


def by_gate(interventions: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """{gate: what acts on it}, checked for the names of gates.

    Raises:
        ValueError: "interventions must have keys among ('i', 'f', 'g', 'o', 'c', 'h'); received 'forget'".
    """
    given = interventions or {}
    for name in given:
        if name not in Gates._fields:
            raise ValueError(f"interventions must have keys among {Gates._fields}; received {name!r}")
    return {name: given[name] for name in Gates._fields if name in given}


def kept(interventions: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """{gate: list of what acts on it} of a layer's argument, also of one that its configuration holds.

    Raises:
        ValueError: as `by_gate` and `listed`.
    """

    def known(one):
        return keras.saving.deserialize_keras_object(one) if isinstance(one, dict) else one

    read = {name: [*map(known, one)] if isinstance(one, list) else one for name, one in (interventions or {}).items()}
    return {name: listed(one, name) for name, one in by_gate(read).items()}


def serialized(interventions: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """{gate: list} of what `kept` keeps, as a layer's configuration holds it."""
    return {
        name: [keras.saving.serialize_keras_object(one) for one in several] for name, several in interventions.items()
    }


def composed(
    interventions: list[Any], what: str, units: int, steps: int | None = None, samples: int | None = None
) -> Intervention:
    """One `Intervention` of several that act one after the other: arrays (samples or 1, steps or 1, units or 1).

    Args:
        interventions: list, as `listed` gives it.
        what: str, the gate in an error, as "lstm/f".
        units: int.
        steps: int, or None where the number of steps is not known. Then there are as many rows as the interventions
            tell steps apart, and the last one stands for all steps from there on.
        samples: int, or None where the size of the batch is not known.

    Raises:
        ValueError: "interventions on 'lstm/f' expected units in [-4, 4); received 7".
    """
    rows = steps or max([1, *(_rows(one, what) for one in interventions)])
    scale, shift = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
    for one in interventions:
        chosen = _chosen(one.samples, samples, "samples", what)[:, None, None] & (
            _chosen(one.steps, steps or rows, "steps", what, steps is None)[None, :, None]
            & _chosen(one.units, units, "units", what)[None, None, :]
        )
        a, b = (_fitting(np.asarray(value), (samples, steps, units), what) for value in (one.scale, one.shift))
        if steps is None and max(a.shape[1], b.shape[1]) > 1:
            a, b, chosen = _for_its_steps_alone(a, b, chosen, rows)
        scale, shift = np.where(chosen, a * scale, scale), np.where(chosen, a * shift + b, shift)
    return Intervention(scale, shift)


def at_all_steps(number: Any, count: Any) -> Any:
    """A number (…, rows, …) at each of `count` steps: its last row is that of all later steps."""
    if number.shape[1] == 1 or (isinstance(count, int) and number.shape[1] == count):
        return number
    return ops.take(number, ops.minimum(ops.arange(count, dtype="int32"), number.shape[1] - 1), axis=1)


def tells_steps_apart(interventions: Mapping[str, list[Any]]) -> bool:
    """Whether of {gate: what `kept` keeps} any is not the same at all steps."""
    return any(
        one.steps is not None or any(np.ndim(number) and np.shape(number)[1] > 1 for number in (one.scale, one.shift))
        for several in interventions.values()
        for one in several
    )


def _number(name, value):
    if isinstance(value, bool) or np.ndim(value) or not np.isfinite(float(value)):
        raise ValueError(f"{name} must be a finite number; received {value!r}")
    return float(value)


def _array(values):
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" and keras.backend.is_float_dtype(array.dtype.name):
        array = array.astype("float32")  # bfloat16, which NumPy has from elsewhere
    if array.dtype.kind not in "fiu" or array.ndim > 3:
        raise ValueError(
            "expected numbers that broadcast to (sample, time, unit); "
            f"received an array of shape {array.shape} and dtype {array.dtype}"
        )
    return array.reshape((1,) * (3 - array.ndim) + array.shape)


def _is_trace(values):
    """An xarray Dataset or DataTree; xarray itself is not imported for it."""
    return hasattr(values, "data_vars")


def _node(trace, path, gate):
    try:
        node = trace if gate in trace or path is None else trace[path]
    except KeyError:
        node = trace
    if gate not in node or "mask" not in node:
        raise ValueError(f"expected a trace with {path or 'an LSTM'} and its gate {gate!r}; received {list(trace)}")
    return node


def _flat(values):
    """(sample, time, unit); each step of a `TimeDistributed` is a sample of its own."""
    return np.asarray(values).reshape(-1, *values.shape[-2:])


def _selector(chosen):
    if chosen is None or isinstance(chosen, slice):
        return chosen
    array = np.asarray(chosen)
    if array.dtype.kind not in "iub" or array.ndim > 1 or array.size == 0:
        raise ValueError(f"expected an int, a slice, a list of ints or a bool mask; received {chosen!r}")
    return array.tolist()


def _rows(one, what):
    """How many steps an intervention tells apart, with all later ones as the last."""
    extent = max(value.shape[1] if isinstance(value, np.ndarray) else 1 for value in (one.scale, one.shift))
    rows = extent + 1 if extent > 1 else 1
    if isinstance(one.steps, slice):
        start, stop, step = one.steps.start or 0, one.steps.stop, one.steps.step or 1
        if min(start, stop or 0) < 0 or step < 1 or (stop is None and step > 1):
            raise ValueError(
                f"interventions on {what!r} expected steps counted from the first, and an end to every second or third "
                f"one, where the number of steps is not known; received {one.steps}"
            )
        return max(rows, (start if stop is None else stop) + 1)
    if one.steps is None:
        return rows
    several = np.atleast_1d(one.steps)
    if several.dtype == bool:
        return max(rows, len(several) + 1)
    if several.min() < 0:
        raise ValueError(
            f"interventions on {what!r} expected steps counted from the first where the number of steps is not known; "
            f"received {one.steps}"
        )
    return max(rows, int(several.max()) + 2)


def _chosen(selector, size, axis, what, is_open=False):
    """bool (size,) or (1,), the chosen places of an axis."""
    if selector is None:
        return np.ones(1, bool)
    if size is None:
        raise ValueError(
            f"interventions on {what!r} expected a known number of {axis} to choose among; received {axis}={selector}"
        )
    chosen = np.zeros(size, bool)
    if isinstance(selector, slice):
        chosen[selector] = True
    else:
        several = np.atleast_1d(selector)
        if several.dtype == bool:
            if len(several) != size and not is_open:
                raise ValueError(
                    f"interventions on {what!r} expected a mask of {size} {axis}; received one of {len(several)}"
                )
            chosen[: len(several)] = several
        else:
            if several.min() < -size or several.max() >= size:
                raise ValueError(f"interventions on {what!r} expected {axis} in [{-size}, {size}); received {selector}")
            chosen[several] = True
    if isinstance(selector, slice) and not chosen.any():
        raise ValueError(f"interventions on {what!r} expected {axis} among {size}; received {selector}, which has none")
    return chosen


def _fitting(array, sizes, what):
    array = array.reshape((1,) * (3 - array.ndim) + array.shape)
    if any(size is not None and own not in (1, size) for own, size in zip(array.shape, sizes)):
        raise ValueError(
            f"interventions on {what!r} expected values that broadcast to (samples, steps, units) = {sizes}; "
            f"received the shape {array.shape}"
        )
    return array


def _for_its_steps_alone(scale, shift, chosen, rows):
    """Values of some steps, where more may follow: they are for these steps and no later one."""
    own = max(scale.shape[1], shift.shape[1])
    chosen = np.broadcast_to(chosen, (len(chosen), rows, chosen.shape[2])) & (np.arange(rows) < own)[None, :, None]

    def longer(values):
        return values if values.shape[1] == 1 else np.pad(values, ((0, 0), (0, rows - own), (0, 0)))

    return longer(scale), longer(shift), chosen
