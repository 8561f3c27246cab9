"""`steer`: any trained model with LSTMs in it -> the same model, weights shared, whose gates one acts on."""

from __future__ import annotations

import collections.abc
import re
from typing import TYPE_CHECKING, Any

import keras

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.interventions import composed, listed
from keras_lstm_gates.layers.lstm import GatedLSTM
from keras_lstm_gates.opening.exposing import GateNotes, named_outputs, opened_by, zeroed
from keras_lstm_gates.opening.graphs import graph_of, layers_within
from keras_lstm_gates.opening.paths import outermost
from keras_lstm_gates.opening.twins import CELLS, LAYERS, gated_twin
from keras_lstm_gates.opening.walker import walk
from keras_lstm_gates.steering.holders import HeldInterventions, batches_differ

if TYPE_CHECKING:
    from collections.abc import Mapping


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class Steered(keras.Model):
    """The model that `steer` returns: a `keras.Model` with `interventions`, which one sets by "<path>/<gate>"."""

    _source: Any = None

    def get_config(self) -> dict[str, Any]:
        """The model that was steered, and where.

        Keras's own configuration of the graph would lose what two calls of a model share.
        """
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self._source.model),
            "return_gates": self._source.return_gates,
            "sizes": {key: list(size) for key, size in self._source.sizes.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Steered:
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects=custom_objects)
        steered = _steered(model, dict.fromkeys(config["sizes"], ()), config["return_gates"], config["sizes"])
        steered.name = config["name"]
        return steered

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        return _with_batches_checked(super().fit, args, kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        return _with_batches_checked(super().evaluate, args, kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return _with_batches_checked(super().predict, args, kwargs)

    @property
    def interventions(self) -> Interventions:
        """A mapping of "<path>/<gate>" to what acts there; what is set in it acts from the next call on."""
        return Interventions(self)


class _Source:
    """What a `Steered` was made of: the model, and {"<path>/<gate>": (rows, samples)}."""

    def __init__(self, model, return_gates, sizes):
        self.model, self.return_gates, self.sizes = model, return_gates, sizes


class Interventions(collections.abc.Mapping):
    """What acts on a steered model: {"<path>/<gate>": (scale, shift)}, NumPy arrays (samples or 1, steps, units).

    `steered.interventions["lstm/f"] = Set(0.0)` puts another one in the place of what acted there, or a list of them,
    and an empty list takes it away. The model keeps its graph and its programs.
    """

    def __init__(self, model):
        self._holders = {}
        for layer in layers_within(model):
            for gate in layer.gates if isinstance(layer, HeldInterventions) else ():
                key = f"{layer.call_path}/{gate}"
                if key in self._holders:
                    raise ValueError(f"expected one intervention a gate; {key!r} is steered in two models within this")
                self._holders[key] = layer

    def __setitem__(self, key, interventions):
        self._known(key).set(key.rpartition("/")[2], interventions)

    def __getitem__(self, key):
        return self._known(key).numbers(key.rpartition("/")[2])

    def variables(self, key):
        """The `keras.Variable`s that hold the scale and the shift of one gate."""
        return self._known(key).variables_of(key.rpartition("/")[2])

    def is_open(self, key):
        """Whether the gate is one of an LSTM that takes any number of steps."""
        return self._known(key).is_open

    def __iter__(self):
        return iter(self._holders)

    def __len__(self):
        return len(self._holders)

    def _known(self, key):
        if key not in self._holders:
            raise KeyError(
                f"expected one of {[*self._holders]}, which this model was steered at; received {key!r}. "
                f"steer(model, {{{key!r}: []}}) makes room for it"
            )
        return self._holders[key]


def steer(
    model: keras.Model,
    interventions: Mapping[str, Any],
    return_gates: bool = True,
    *,
    steps: int | None = None,
    samples: int | None = None,
) -> Steered:
    """The same model, weights shared, with interventions on its gates and states: what acts early is felt later.

    value = scale * value + shift, for chosen units, steps and samples, within the recurrence. A masked step stays as it
    was. After one on c or h the states carry on from the new value.

    Args:
        model: built `keras.Model`, as `expose` opens; or a steered one.
        interventions: {"<path>/<gate>": `Set`, `Scale`, `Shift`, `Replace`, `Mean`, or a list of them, which act in
            this order, or (scale, shift) as arrays}. Paths are those of `expose`; a gate is any of i, f, g, o, c, h.
            Units, steps and samples are those of the gate that `expose` shows. An empty list does nothing, until
            something is set in its place.
        return_gates: bool. True: the output is that of `expose`, a dict with every gate as it is after the
            interventions. False: the model's own.
        steps: int, of a model that takes any number of steps: how many later interventions may tell apart. None: as
            many as these here do. (The last stands for all that follow; a step that a sequence does not have is none.)
            A model that fixes their number tells all of them apart, but for steps=1, where these here tell none.
        samples: int, the size of the batch where interventions differ between samples; every batch has this size then.
            None: that of the values that are given.

    Returns:
        `Steered`, a `keras.Model` on the same inputs with the same variables, and further ones that hold the scales and
        shifts and do not train. It trains, saves, loads and is exported as any model. `steered.interventions` changes
        what acts, without a new graph or program.

    Raises:
        ValueError: what `expose` raises; "expected interventions on gates of ['lstm'], such as 'lstm/f'; received
            'gru/f': 'gru' is a GRU"; "interventions on 'lstm/f' expected units in [-4, 4); received 7".

    Cost: each gate that is acted on keeps two numbers for each unit and each step that is told apart. cuDNN, which lets
    no one act, is left.

    Example:
        >>> import numpy as np
        >>> from keras_lstm_gates.steering import Set
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="lstm")])
        >>> steered = steer(model, {"lstm/f": Set(1.0, units=[1, 3], steps=slice(2, 5))})
        >>> steered.predict(np.ones((1, 5, 3)), verbose=0)["lstm/f"][0, 4].round(3)[[1, 3]].tolist()
        [1.0, 1.0]
        >>> steered.interventions["lstm/f"] = Set(0.0)
        >>> float(steered.predict(np.ones((1, 5, 3)), verbose=0)["lstm/f"].max())
        0.0
    """
    return _steered(model, interventions, return_gates, dict.fromkeys(interventions, (steps, samples or 1)))


def opened_steered(model, interventions, steps=None):
    """`keras_lstm_gates.opening.exposing.Opened` of the graph that `steer` makes, whose gates keep their paths."""
    # Of a model that fixes their number, all steps are told apart.
    rows = steps if steps and steps > 1 else None
    visitor = _Steering(_by_path(interventions), True, dict.fromkeys(interventions, (rows, 1)))
    # It is not walked again.
    visitor.labelled = False
    return opened_by(visitor, model)


def _by_path(interventions):
    targets = {}
    for key, one in interventions.items():
        path, _, gate = key.rpartition("/")
        targets.setdefault(path, {})[gate] = one
    return targets


def _steered(model, interventions, return_gates, sizes):
    """`steer`, with the least (rows or None, samples) of each gate."""
    targets = _by_path(interventions)
    visitor = _Steering(targets, return_gates, sizes)
    if return_gates:
        opened = opened_by(visitor, model)
        inputs, outputs = opened.inputs, named_outputs(opened)
    else:
        walked = walk(model, visitor)
        inputs = walked.inputs
        outputs = keras.tree.pack_sequence_as(graph_of(model).output, list(walked.outputs.values()))
    _check_met(model, targets, visitor.met)
    steered = Steered(inputs, outputs, name=model.name)
    # Within an object of its own, so that Keras does not take the model for one of the layers.
    steered._source = _Source(model, return_gates, visitor.sizes)
    return steered


class _Steering(GateNotes):
    """Calls an LSTM through a twin that is given what acts on its gates."""

    per_call = True

    def __init__(self, targets, return_gates, least):
        super().__init__(labelled=return_gates)
        self._targets, self._least = targets, least
        self.return_gates, self.met, self.sizes = return_gates, [], {}

    def visit(self, call):
        self.met.append(call.path)
        wanted = self._targets.get(call.path)
        if wanted and set(wanted) <= set(Gates._fields):
            call = self._with_interventions(call, wanted)
        if self.return_gates:
            return super().visit(call)
        layer = call.layer
        if not wanted and (type(layer) not in LAYERS or type(layer.cell) not in CELLS):
            # Nothing acts on it, so it need not be one whose step is known.
            return call.as_it_is(), {}
        twin = call.replacement(lambda name: gated_twin(layer, name, call.path, **_returned(layer)))
        returned = twin(call.sequences, initial_state=call.states, **call.given)
        if isinstance(returned, dict):
            return returned, {}
        output, *states = returned if layer.return_state else (returned,)
        output = zeroed(call, output)
        return ((output, *states) if layer.return_state else output), {}

    def _with_interventions(self, call, wanted):
        known = call.given.get("interventions") or {}
        for gate in set(wanted) & set(known):
            raise ValueError(
                f"expected gates that nothing acts on yet; received '{call.path}/{gate}'. Set "
                f"model.interventions['{call.path}/{gate}'] of the steered model"
            )
        holder = call.graph.once(
            call.layer,
            f"interventions {call.path}",
            lambda name: self._holder(call, wanted, name),
            base=f"{call.path.replace('/', '_').replace('@', '_')}_interventions",
        )
        return call._replace(given={**call.given, "interventions": {**known, **holder(call.sequences)}})

    def _holder(self, call, wanted, name):
        layer, time = call.layer, call.sequences.shape[1]
        units, rows, samples = int(layer.cell.units), 1, 1
        for gate, one in wanted.items():
            least_rows, least_samples = self._least[f"{call.path}/{gate}"]
            least_rows = time if time and least_rows != 1 else least_rows or 1
            rows, samples = max(rows, least_rows), max(samples, least_samples)
            several = listed(one, gate, call.path)
            known = None if least_samples == 1 else least_samples
            for number in composed(several, f"{call.path}/{gate}", units, time, known):
                rows, samples = max(rows, number.shape[1]), max(samples, number.shape[0])
        self.sizes |= {f"{call.path}/{gate}": (rows, samples) for gate in wanted}
        gates = [gate for gate in Gates._fields if gate in wanted]
        holder = HeldInterventions(
            call.path, gates, units, rows, rows != time, samples, call.backwards, name=name, dtype=layer.dtype_policy
        )
        for gate in gates:
            holder.set(gate, wanted[gate])
        return holder


def _with_batches_checked(run, args, kwargs):
    """What a run over batches gives; the graph's refusal of a batch in the words that an eager call has for it."""
    try:
        return run(*args, **kwargs)
    except Exception as error:
        sizes = re.search(r"expected_batches_of_(\d+).*shape\[1\] = \[(\d+),", str(error), re.DOTALL)
        if sizes is None:
            raise
        raise ValueError(batches_differ(*sizes.groups())) from None


def _returned(layer):
    return {"return_gates": layer.return_gates} if isinstance(layer, GatedLSTM) else {}


def _check_met(model, targets, met):
    for path, gates in targets.items():
        for gate in gates:
            key = f"{path}/{gate}" if path else gate
            if path not in met:
                kinds = {layer.name: type(layer).__name__ for layer in model.layers}
                kind = f": {outermost(path)!r} is a {kinds[outermost(path)]}" if outermost(path) in kinds else ""
                example = f", such as {f'{met[0]}/f'!r}" if met else ""
                raise ValueError(f"expected interventions on gates of {met}{example}; received {key!r}{kind}")
            if gate not in Gates._fields:
                raise ValueError(f"expected interventions on gates {Gates._fields} of {path!r}; received {key!r}")
