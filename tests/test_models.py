"""The architectures: they save and load, their gates open, quantiles do not cross, generation carries its state."""

import keras
import numpy as np
import pytest

from keras_lstm_gates import expose, models

FLOATS = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
TOKENS = np.random.default_rng(1).integers(1, 20, (2, 6))


@pytest.mark.parametrize(
    ("make", "x", "shape"),
    [
        (
            lambda: models.SequenceClassifier(
                3, 4, 5, layers=2, bidirectional=True, dropout=0.1, pooling="mean", noise=0.1, seed=1
            ),
            FLOATS,
            (2, 4),
        ),
        (lambda: models.SequenceLabeller(20, 4, 5, bidirectional=True, seed=1), TOKENS, (2, 6, 4)),
        (
            lambda: models.Forecaster(3, 4, 5, quantiles=(0.1, 0.5, 0.9), autoregression=2, gate_l1={"f": 1e-4}),
            FLOATS,
            (2, 4, 3),
        ),
        (lambda: models.CharacterLanguageModel(20, 5, layers=2, chrono_t_max=9.0), TOKENS, (2, 6, 20)),
    ],
)
def test_saved_loaded_and_opened(make, x, shape, tmp_path):
    model = make()
    model.save(tmp_path / "model.keras")
    predicted = model(x, training=False)
    assert tuple(predicted.shape) == shape
    np.testing.assert_array_equal(predicted, keras.models.load_model(tmp_path / "model.keras")(x, training=False))
    opened = expose(model)(x, training=False)
    assert {name.rpartition("/")[2] for name in opened} >= set("ifgoch")
    np.testing.assert_allclose(opened[model.output_names[0]], predicted, atol=1e-6)


def test_the_same_seed_gives_the_same_weights():
    first, second, other = (models.Forecaster(3, 2, 4, seed=seed).get_weights() for seed in (1, 1, 2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_forecasts_are_in_the_targets_units_and_do_not_cross():
    model = models.Forecaster(3, 4, 5, quantiles=(0.1, 0.5, 0.9), target_mean=100.0, target_variance=4.0, seed=0)
    forecast = model.predict(FLOATS * 100, verbose=0)
    assert (np.diff(forecast, axis=-1) >= 0).all()
    assert np.abs(forecast[..., 0] - 100).max() < 20


def test_generation_is_what_rereading_the_whole_text_says():
    model = models.CharacterLanguageModel(20, 5, layers=2, seed=1)
    said = models.generate(model, [1, 2, 3], 6, seed=3)
    rng, text = np.random.default_rng(3), [1, 2, 3]
    for _ in range(6):
        p = np.asarray(model(np.array([text])), "float64")[0, -1]
        text.append(int(rng.choice(20, p=p / p.sum())))
    assert said.tolist() == text[3:]
    most_probable = models.generate(model, [1], 1, temperature=0)
    assert most_probable[0] == np.asarray(model(np.array([[1]])))[0, -1].argmax()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([], 3), "expected a prompt of one or more ids; received shape"),
        (([25], 3), "expected ids from 0 to 19; received 25 to 25"),
    ],
)
def test_bad_prompts_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        models.generate(models.CharacterLanguageModel(20, 3), *arguments)


def test_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match=r"expected pooling of \['last', 'mean'\]; received 'max'"):
        models.SequenceClassifier(3, 2, pooling="max")
    with pytest.raises(ValueError, match="expected features, or vocabulary for tokens; received"):
        models.SequenceClassifier()
