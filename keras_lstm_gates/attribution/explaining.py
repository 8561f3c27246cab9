"""One answer through several lenses: what is stored, what is sensitive, what is causal, and which inputs count."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import keras
import numpy as np
import xarray as xr
from keras import ops

from keras_lstm_gates import plots
from keras_lstm_gates._support.predicting import predict_on_batch
from keras_lstm_gates.attribution.answers import answer_ledger
from keras_lstm_gates.attribution.contextual import phrases
from keras_lstm_gates.attribution.inputs import attribute
from keras_lstm_gates.attribution.watched import before_last_activation, own_outputs
from keras_lstm_gates.gradients.contributions import contributions
from keras_lstm_gates.gradients.linearized_lstm import LinearizedLSTM
from keras_lstm_gates.gradients.recording import record, watch
from keras_lstm_gates.interventions import Set
from keras_lstm_gates.opening.graphs import Names, graph_of, layers_within, outputs_by_name
from keras_lstm_gates.steering import run_each
from keras_lstm_gates.tracing.traces import check_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from keras_lstm_gates._support.annotations import Arrays


CAUSES = 3
LONGEST_PHRASE, MOST_TOKENS = 5, 200


class Explanation:
    """One answer of a model for one sequence, explained; in a notebook it shows its figure and its sentence.

    Attributes:
        data: `xarray.Dataset` over time, of the steps as the input has them:
            stored      what the answer owes to what was written at the step and kept (`answer_ledger`)
            sensitive   |d answer / d c|, how much a change of the cell state at the step would matter; behind a
                        softmax of the answer's log probability
            closed      what the answer loses where the input gates of the LSTMs that it is read from are closed at
                        the step, so that nothing new is written; left out where `run_each` cannot act on them, and
                        `attrs["closed"]` says why
            causal      what the answer loses where the step's input is set to the baseline (`attribute`, "occlusion")
            inputs      integrated gradients, (time, feature), or (time) of tokens
            input       what the model read, alike, and `token` where there is a vocabulary
            phrase      of tokens, (time, length): what the phrase of 1 to 5 tokens that begins at the step contributes
                        (`attribute`, "contextual_decomposition"); left out where that method does not know a layer, and
                        of more than 200 tokens: `attrs["phrase"]` says why
            The attribute `columns` has the names of the features, where they were given. A coordinate `when` (time)
            that you assign stands on the axis of the figure.
        sentence: str, the three largest causes with their numbers.
    """

    def __init__(self, data: xr.Dataset) -> None:
        self.data = data
        self.sentence = _sentence(data)

    @property
    def figure(self) -> Figure:
        """`matplotlib.figure.Figure` of `plots.explanation`."""
        return plots.explanation(self.data)

    def __repr__(self):
        return f"Explanation: {self.sentence}"

    def _repr_png_(self):
        picture = io.BytesIO()
        self.figure.savefig(picture, format="png", dpi=110)
        return picture.getvalue()

    def _repr_markdown_(self):
        return self.sentence


def explain(
    model: keras.Model,
    x: ArrayLike,
    target: int | tuple[int, ...] | str | None = None,
    *,
    sample: int = 0,
    output: str | None = None,
    baseline: str | Arrays = "mean",
    vocabulary: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Explanation:
    """Four lenses on one answer: the memory it is read from, the gradient, and what happens without each step.

    They ask different questions, and may disagree: a step may be stored and not matter, matter and not be stored (a
    step that made the gates forget), or be sensitive and hold nothing.

    Args:
        model: built Functional or Sequential `keras.Model` with one input and one or more LSTMs.
        x: array (sample, time, feature), or of token ids (sample, time).
        target: as in `attribute`; None of an output of several numbers is the largest.
        sample: int, which sequence.
        output: the name of one of several outputs.
        baseline: as in `attribute`; "mean" is that over the real steps of all of x.
        vocabulary: list of str, the token of each id.
        columns: list of str, the name of each feature; in the figure up to 16 of them stand beside their rows.

    Returns:
        `Explanation`.

    Raises:
        ValueError: "expected a sample from 0 to 4; received 9"; what `attribute` and `answer_ledger` raise.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> explanation = explain(SequenceClassifier(features=3, classes=2, units=4), np.ones((5, 7, 3)), target=1)
        >>> explanation.data["stored"].dims
        ('time',)
    """
    if graph_of(model) is not None and len(model.inputs) > 1:
        raise ValueError(
            f"expected a model with one input; received {len(model.inputs)}; "
            "keras_lstm_gates.attribution.attribute takes several"
        )
    x = np.asarray(x)
    if not 0 <= sample < len(x):
        raise ValueError(f"expected a sample from 0 to {len(x) - 1}; received {sample}")
    one = x[sample : sample + 1]
    if columns is not None:
        check_columns(columns, {"x": x.shape})
    target = _target(model, one, target, output)
    given = _baseline(model, x, baseline)
    inputs = attribute(model, one, target, baseline=given, output=output)
    causal = attribute(model, one, target, "occlusion", baseline=given, output=output)
    account = answer_ledger(model, one, target, output=output)
    rule = "proportional" if account.attrs["affine"] else "integrated_gradients"
    paths = account.attrs["layers"]
    stored = sum(account[path]["contribution"].sel(rule=rule).sum("unit") for path in paths)
    by_input = inputs["contribution"].isel(sample=0)
    over_steps = [dim for dim in by_input.dims if dim != "time"]
    if by_input.sizes["time"] != stored.sizes["time"]:
        raise ValueError(
            f"expected LSTMs {paths} that read the input's own {by_input.sizes['time']} steps; received "
            f"{stored.sizes['time']}: the layers before change their number. Take `answer_ledger` and `attribute`"
        )
    data = xr.Dataset(
        {
            "stored": ("time", stored.values[0]),
            "sensitive": ("time", _sensitive(model, one, target, account)),
            "causal": ("time", causal["contribution"].isel(sample=0).sum(over_steps).values),
            "inputs": (by_input.dims, by_input.values),
            "input": (by_input.dims, one[0]),
            "mask": ("time", account[paths[0]]["mask"].values[0]),
        },
        coords={"time": np.arange(stored.sizes["time"])},
        attrs={
            "answer": float(account["answer"][0]),
            "bias": float(account["bias"][0]),
            "at_baseline": float(inputs["at_baseline"][0]),
            "rule": rule,
            "layers": paths,
            "sample": sample,
            **({} if columns is None else {"columns": [str(name) for name in columns]}),
            **{name: account.attrs[name] for name in ("target", "output", "before")},
        },
    )
    try:
        data["closed"] = ("time", _closed(model, one, account, _index(target, model, account)))
    except ValueError as error:
        data.attrs["closed"] = f"left out: {error}"
    if one.ndim == 2:
        _add_phrases(data, model, one, target, output)
    if vocabulary is not None and one.ndim == 2:
        known = [str(token) for token in vocabulary]
        data["token"] = ("time", [known[int(one)] if 0 <= int(one) < len(known) else f"#{one}" for one in one[0]])
    return Explanation(data)


def _add_phrases(data, model, one, target, output):
    try:
        if one.shape[1] > MOST_TOKENS:
            raise ValueError(f"expected {MOST_TOKENS} tokens at most; received {one.shape[1]}")
        data["phrase"] = (("time", "length"), phrases(model, one, target, LONGEST_PHRASE, output)[0])
        data["length"] = np.arange(1, LONGEST_PHRASE + 1)
    except ValueError as error:
        data.attrs["phrase"] = f"left out: {error}"


def _target(model, one, target, output):
    """The target, where None stands for the largest number of a vector."""
    if target is not None:
        return target
    names, tensors = own_outputs(model), outputs_by_name(model)
    output = names[0] if output is None and len(names) == 1 else output
    tensor = tensors.get(output)
    if tensor is None or len(tensor.shape) != 2 or tensor.shape[-1] == 1:
        return None
    predicted = predict_on_batch(model, one)
    predicted = predicted[output] if isinstance(predicted, dict) and output in predicted else predicted
    return int(np.asarray(predicted)[0].argmax())


def _index(target, model, account):
    """The target as a tuple, an index for each axis of the output after the sample."""
    if target is None:
        return (0,) * (len(outputs_by_name(model)[account.attrs["output"]].shape) - 1)
    return tuple(target) if isinstance(target, (tuple, list)) else (target,)


def _sensitive(model, one, target, account):
    """The norm of d answer / d c at each step of the input, of all LSTMs that the answer is read from."""
    tensor = outputs_by_name(model)[account.attrs["output"]]
    picked = _Picked(_index(target, model, account), account.attrs["before"], name=Names(model).new("answer"))
    answer = keras.Model(graph_of(model).input, picked(tensor))
    calls, _ = record(answer, one, np.zeros((1, 1), "float32"), lambda y_true, y_pred: y_pred)
    # Without the gates among its outputs an opened model has its layers' own names for paths.
    by_path = {}
    for path, layer in watch(model)[1].items():
        same = [call for call in calls if call.layer.cell is layer.cell]
        if same:
            by_path[path] = same[0]
            calls.remove(same[0])
    norms = 0.0
    for path in account.attrs["layers"]:
        call = by_path[path]
        of_steps = contributions(LinearizedLSTM(call), call.output_gradients)["norm_dE_dc"].values[0]
        norms = norms + (of_steps[::-1] if account[path].attrs["reads"] == "backwards" else of_steps)
    return norms


def _closed(model, one, account, index):
    """What the answer loses where the input gates of its LSTMs are closed at a step, each step of the input."""
    linear, _ = before_last_activation(model, account.attrs["output"])
    cells = {path: layer.cell for path, layer in watch(model)[1].items() if path in account.attrs["layers"]}
    paths = [path for path, layer in watch(linear)[1].items() if any(layer.cell is cell for cell in cells.values())]
    steps = account[account.attrs["layers"][0]].sizes["time"]
    without = [{f"{path}/i": Set(0.0, steps=[step]) for path in paths} for step in range(steps)]
    answers = run_each(linear, one, without, lambda outputs: outputs[(slice(None), *index)].reshape(1))
    return float(account["answer"][0]) - answers[:, 0]


class _Picked(keras.layers.Layer):
    """One number of an output, before its sigmoid, behind its softmax the logarithm: (batch, 1), without a mask."""

    def __init__(self, index, before, **kwargs):
        super().__init__(**kwargs)
        self.index, self.before = index, before
        self.supports_masking = True

    def call(self, outputs):
        number = ops.reshape(outputs[(slice(None), *self.index)], (-1, 1))
        if self.before == "sigmoid":
            return ops.log(number) - ops.log1p(-number)
        return ops.log(number) if self.before == "softmax" else number

    def compute_output_spec(self, outputs):
        return keras.KerasTensor((outputs.shape[0], 1), outputs.dtype)

    def compute_mask(self, outputs, mask=None):
        return None


def _baseline(model, x, baseline):
    """The mean of numbers over the real steps of all sequences, where "mean" is what is asked for."""
    if not isinstance(baseline, str) or baseline != "mean" or x.dtype.kind != "f" or x.ndim < 3:
        return baseline
    real = np.ones(x.shape[:-1], bool)
    for layer in layers_within(model):
        if isinstance(layer, keras.layers.Masking):
            real &= np.any(x != layer.mask_value, axis=-1)
    return x[real].mean(axis=0) if real.any() else "zero"


def _sentence(data):
    """The three steps without which the answer changes most, in words."""
    attrs = data.attrs
    what = f"The answer {attrs['answer']:.3g}" + (f" (before {attrs['before']})" if attrs["before"] else "")
    causal = data["causal"].values
    largest = [step for step in np.argsort(-abs(causal))[:CAUSES] if causal[step] != 0]
    if not largest:
        return f"{what} does not change without any single step."
    parts = [f"step {step}{_named(data, step)} ({causal[step]:+.3g})" for step in largest]
    stored = data["stored"].values
    if not stored.any():
        return f"{what} owes most to {', '.join(parts)}. The memory holds nothing for it."
    most = int(np.argmax(abs(stored)))
    reach = f"Most of what the memory holds for it was written at step {most}{_named(data, most)} ({stored[most]:+.3g})"
    sensitive = int(np.argmax(data["sensitive"].values))
    return f"{what} owes most to {', '.join(parts)}. {reach}; it is most sensitive at step {sensitive}."


def _named(data, step):
    return f" {str(data['token'].values[step])!r}" if "token" in data else ""
