"""The architectures of this package, as Functional Keras models with a name for every output."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_lstm_gates.initializers import ChronoBias, ForgetBias
from keras_lstm_gates.interventions import tells_steps_apart
from keras_lstm_gates.layers.bidirectional import Bidirectional
from keras_lstm_gates.layers.lstm import GatedLSTM
from keras_lstm_gates.opening import Visitor, walk
from keras_lstm_gates.opening.graphs import Names
from keras_lstm_gates.opening.twins import gated_twin
from keras_lstm_gates.presets.architecture import architecture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["CharacterLanguageModel", "Forecaster", "SequenceClassifier", "SequenceLabeller", "generate"]

POOLINGS = ("last", "mean")


@architecture("classification")
def SequenceClassifier(  # noqa: N802  a model's name, as in keras.applications
    features: int | None = None,
    classes: int = 2,
    units: int = 64,
    *,
    vocabulary: int | None = None,
    mean: ArrayLike = 0.0,
    variance: ArrayLike = 1.0,
    noise: float = 0.0,
    pooling: str = "last",
    seed: int | None = None,
    name: str = "sequence_classifier",
    **memory: Any,
) -> keras.Model:
    """One class for a whole sequence: masking, normalization, LSTMs, softmax.

    A step whose features are all exactly 0 is padding and is masked; for tokens, id 0.

    Args:
        features: int > 0, channels of a step; or None, where the inputs are tokens.
        classes: int > 1.
        units: int > 0, of each LSTM.
        vocabulary: int > 1, the number of token ids; or None.
        mean, variance: float or (features,), of the training data's real steps; the model subtracts and divides.
        noise: float >= 0, standard deviation of the noise added to the normalized input in training.
        pooling: str, the h to classify: "last", or its "mean" over the real steps.
        seed: int or None, of the initial weights, noise and dropout.
        memory: layers, bidirectional, embedding, forget_bias, chrono_t_max, gate_l1, dropout and recurrent_dropout,
            with the meanings and defaults of `keras_lstm_gates.recipes.Recipe`.

    Returns:
        A `keras.Model`, (batch, time, features) or (batch, time) to `probabilities` (batch, classes).

    Example:
        >>> SequenceClassifier(features=12, classes=9, units=8).output_shape
        (None, 9)
    """
    if pooling not in POOLINGS:
        raise ValueError(f"expected pooling of {list(POOLINGS)}; received {pooling!r}")
    seeds = Seeds(seed)
    sequence, x = _input_layers(features, vocabulary, mean, variance, noise, memory.pop("embedding", 64), seeds)
    x = stacked_lstms(x, units, seeds, every_step=pooling == "mean", **memory)
    if pooling == "mean":
        x = keras.layers.GlobalAveragePooling1D(name="mean_over_time")(x)
    return keras.Model(sequence, _softmax(classes, seeds)(x), name=name)


@architecture("labelling")
def SequenceLabeller(  # noqa: N802
    vocabulary: int | None = None,
    classes: int = 2,
    units: int = 64,
    *,
    features: int | None = None,
    mean: ArrayLike = 0.0,
    variance: ArrayLike = 1.0,
    noise: float = 0.0,
    seed: int | None = None,
    name: str = "sequence_labeller",
    **memory: Any,
) -> keras.Model:
    """One class for each step of a sequence. Arguments as of `SequenceClassifier`.

    Returns:
        A `keras.Model`, (batch, time) or (batch, time, features) to `probabilities` (batch, time, classes).

    Example:
        >>> SequenceLabeller(vocabulary=100, classes=14, units=8, bidirectional=True).output_shape
        (None, None, 14)
    """
    seeds = Seeds(seed)
    sequence, x = _input_layers(features, vocabulary, mean, variance, noise, memory.pop("embedding", 64), seeds)
    x = stacked_lstms(x, units, seeds, every_step=True, **memory)
    return keras.Model(sequence, _softmax(classes, seeds)(x), name=name)


@architecture("forecasting")
def Forecaster(  # noqa: N802
    features: int,
    horizon: int,
    units: int = 64,
    *,
    quantiles: Sequence[float] = (),
    autoregression: int = 0,
    mean: ArrayLike = 0.0,
    variance: ArrayLike = 1.0,
    target_mean: float = 0.0,
    target_variance: float = 1.0,
    noise: float = 0.0,
    seed: int | None = None,
    name: str = "forecaster",
    **memory: Any,
) -> keras.Model:
    """The next `horizon` values of a series, all at once; inputs and forecast are in the series' own units.

    Args:
        features: int > 0, columns of a step.
        horizon: int > 0, steps to forecast.
        units: int > 0, of each LSTM.
        quantiles: increasing floats in (0, 1); empty for a point forecast. The quantiles cannot cross.
        autoregression: int >= 0: a linear map of this many last steps is added to the LSTM's output, which then only
            learns the nonlinear part (Lai et al. 2018, Modeling long- and short-term temporal patterns with deep
            neural networks, section 3.6).
        mean, variance: float or (features,), of the training part's columns.
        target_mean, target_variance: float, of the training part's target.
        noise, seed, memory: as of `SequenceClassifier`, without embedding and bidirectional.

    Returns:
        A `keras.Model`, (batch, time, features) to `forecast` (batch, horizon), or (batch, horizon, quantiles).

    Example:
        >>> Forecaster(features=3, horizon=24, units=8, quantiles=(0.1, 0.5, 0.9)).output_shape
        (None, 24, 3)
    """
    seeds = Seeds(seed)
    sequence = keras.Input((None, features), name="sequence")
    scaled = keras.layers.Normalization(mean=mean, variance=variance, name="normalization")(sequence)
    x = keras.layers.GaussianNoise(noise, seed=seeds.next(), name="noise")(scaled)
    x = stacked_lstms(x, units, seeds, every_step=False, **memory)
    width = max(1, len(quantiles))
    x = keras.layers.Dense(horizon * width, kernel_initializer=seeds.glorot(), name="head")(x)
    if autoregression:
        recent = keras.layers.Flatten(name="recent")(scaled[:, -autoregression:, :])
        recent = ops.reshape(recent, (-1, autoregression * features))
        linear = keras.layers.Dense(horizon * width, use_bias=False, kernel_initializer="zeros", name="autoregression")
        x = x + linear(recent)
    if quantiles:
        x = keras.layers.Reshape((horizon, width), name="by_quantile")(x)
        x = ops.cumsum(ops.concatenate([x[..., :1], ops.softplus(x[..., 1:])], axis=-1), axis=-1)
    x = keras.layers.Rescaling(float(np.sqrt(target_variance)), offset=float(target_mean), name="forecast")(x)
    return keras.Model(sequence, x, name=name)


@architecture("language")
def CharacterLanguageModel(  # noqa: N802
    vocabulary: int,
    units: int = 64,
    *,
    embedding: int = 64,
    seed: int | None = None,
    name: str = "character_language_model",
    **memory: Any,
) -> keras.Model:
    """The probabilities of the next character, at each step. Arguments as of `SequenceClassifier`; one direction.

    Returns:
        A `keras.Model`, (batch, time) of character ids to `probabilities` (batch, time, vocabulary).

    Example:
        >>> CharacterLanguageModel(vocabulary=60, units=8).output_shape
        (None, None, 60)
    """
    seeds = Seeds(seed)
    characters = keras.Input((None,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(vocabulary, embedding, embeddings_initializer=seeds.uniform(), name="embedding")(
        characters
    )
    x = stacked_lstms(x, units, seeds, every_step=True, **memory)
    return keras.Model(characters, _softmax(vocabulary, seeds)(x), name=name)


def generate(
    model: keras.Model, prompt: ArrayLike, length: int, *, temperature: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Characters sampled from a `CharacterLanguageModel`, one by one; its states are carried, so nothing is read twice.

    Args:
        model: `keras.Model` from `CharacterLanguageModel`.
        prompt: of ids, one or more.
        length: int >= 0, the number of characters.
        temperature: float >= 0; 1 samples from the model's probabilities, less sharpens them, 0 takes the most
            probable character.
        seed: int.

    Returns:
        int array (length,), without the prompt.

    Raises:
        ValueError: an empty prompt, an id that the model does not know, or a negative temperature.

    Example:
        >>> model = CharacterLanguageModel(vocabulary=5, units=4, seed=0)
        >>> generate(model, [1, 2], 6).shape
        (6,)
    """
    prompt = np.asarray(prompt)
    size = model.output_shape[-1]
    if prompt.ndim != 1 or len(prompt) == 0 or prompt.dtype.kind not in "iu":
        raise ValueError(f"expected a prompt of one or more ids; received shape {prompt.shape}, dtype {prompt.dtype}")
    if prompt.min() < 0 or prompt.max() >= size:
        raise ValueError(f"expected ids from 0 to {size - 1}; received {prompt.min()} to {prompt.max()}")
    if temperature < 0:
        raise ValueError(f"expected a temperature >= 0; received {temperature}")
    step, layers = _one_step(model)
    states = [np.zeros((1, units), "float32") for units in layers]
    rng = np.random.default_rng(seed)
    tokens = [int(token) for token in prompt]
    for place in range(len(prompt) + length - 1):
        outputs = step([np.array([[tokens[place]]], "int32"), *states])
        states = outputs[1:]
        if place >= len(prompt) - 1:
            tokens.append(_sample(np.asarray(outputs[0])[0, 0].astype("float64"), temperature, rng))
    return np.array(tokens[len(prompt) :], "int32")


def _sample(probabilities, temperature, rng):
    if temperature == 0:
        return int(probabilities.argmax())
    logits = np.log(np.maximum(probabilities, 1e-12)) / temperature
    weights = np.exp(logits - logits.max())
    return int(rng.choice(len(weights), p=weights / weights.sum()))


def _one_step(model):
    """The prediction function of one step, [token, states] to [probabilities, new states]; and the states' sizes."""
    names = Names(model)
    token = keras.Input((1,), dtype="int32", name=names.new("token"))
    lstms = _LSTMs()
    walk(model, lstms)
    states = [keras.Input((units,), name=names.new(f"state_{name}")) for units in lstms.units for name in "hc"]
    one_step = _LSTMs(states)
    walked = walk(model, one_step, inputs=[token], states=states)
    probabilities, *_ = walked.outputs.values()
    step_model = keras.Model([token, *states], [probabilities, *one_step.new_states])
    return step_model.predict_on_batch, [state.shape[-1] for state in states]


class _LSTMs(Visitor):
    """Collects the units of each LSTM; with `states`, calls each from its two and collects the new ones."""

    def __init__(self, states=None):
        self.states, self.units, self.new_states = states, [], []

    def follows(self, layer):
        return isinstance(layer, keras.layers.LSTMCell)

    def visit(self, call):
        layer, place = call.layer, len(self.new_states)
        self.units.append(layer.cell.units)
        if self.states is None:
            return call.as_it_is(), {}
        if tells_steps_apart(getattr(layer, "interventions", {})):
            raise ValueError(f"{call.path!r} is steered at some of its steps alone; expected none or all of them")
        twin = call.replacement(
            lambda name: gated_twin(layer, name, call.path, return_gates=True, return_state=True, stateful=False)
        )
        result = twin(call.sequences, initial_state=self.states[place : place + 2], **call.given)
        self.new_states += [result["state_h"], result["state_c"]]
        return result["output"], {}


class Seeds:
    """A different seed for each random element of a model; all None without a seed."""

    def __init__(self, seed: int | None) -> None:
        self._seeds = itertools.repeat(None) if seed is None else itertools.count(seed * 1000)

    def next(self) -> int | None:
        return next(self._seeds)

    def glorot(self) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(self.next())

    def uniform(self) -> keras.initializers.Initializer:
        return keras.initializers.RandomUniform(seed=self.next())


def _input_layers(features, vocabulary, mean, variance, noise, embedding, seeds):
    """(the model's input, the first LSTM's input)."""
    if (features is None) == (vocabulary is None):
        raise ValueError(
            f"expected features, or vocabulary for tokens; received features={features}, vocabulary={vocabulary}"
        )
    if vocabulary is not None:
        tokens = keras.Input((None,), dtype="int32", name="tokens")
        layer = keras.layers.Embedding(
            vocabulary, embedding, mask_zero=True, embeddings_initializer=seeds.uniform(), name="embedding"
        )
        return tokens, layer(tokens)
    sequence = keras.Input((None, features), name="sequence")
    x = keras.layers.Masking(name="masking")(sequence)
    x = keras.layers.Normalization(mean=mean, variance=variance, name="normalization")(x)
    return sequence, keras.layers.GaussianNoise(noise, seed=seeds.next(), name="noise")(x)


def stacked_lstms(
    x: Any,
    units: int,
    seeds: Seeds,
    *,
    every_step: bool,
    layers: int = 1,
    bidirectional: bool = False,
    forget_bias: float = 1.0,
    chrono_t_max: float | None = None,
    gate_l1: dict[str, float] | None = None,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
) -> Any:
    """Stacked LSTMs with dropout after each; the last one returns every step or only its last."""
    for number in range(layers):
        layer = GatedLSTM(
            units,
            kernel_initializer=seeds.glorot(),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seeds.next()),
            bias_initializer=_bias(units, forget_bias, chrono_t_max, seeds),
            unit_forget_bias=False,
            gate_regularizer={gate: keras.regularizers.L1(factor) for gate, factor in (gate_l1 or {}).items()} or None,
            recurrent_dropout=recurrent_dropout,
            seed=seeds.next(),
            return_sequences=every_step or number < layers - 1,
            name="lstm" if layers == 1 else f"lstm_{number + 1}",
        )
        if bidirectional:
            name = "bidirectional" if layers == 1 else f"bidirectional_{number + 1}"
            x = Bidirectional(layer, name=name)(x)
        else:
            x = layer(x)
        if dropout:
            x = keras.layers.Dropout(dropout, seed=seeds.next(), name=f"dropout_{number + 1}")(x)
    return x


def _bias(units, forget_bias, chrono_t_max, seeds):
    if chrono_t_max is not None:
        return ChronoBias(chrono_t_max, seed=seeds.next())
    return ForgetBias(forget_bias)


def _softmax(classes, seeds):
    return keras.layers.Dense(classes, "softmax", kernel_initializer=seeds.glorot(), name="probabilities")
