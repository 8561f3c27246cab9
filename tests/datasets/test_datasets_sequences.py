"""Labelled sequences of any TFDS data set, ours and others': shapes, splits, vocabularies, and what is refused."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_lstm_gates import datasets
from keras_lstm_gates.datasets import builders, examples, sequences, words
from keras_lstm_gates.recipes import RECIPES, Recipe

ITALY = Recipe(dataset="italy_power_demand", validation=0.2, seed=3)
TREEBANK = Recipe(dataset="turkish_web_treebank", task="labelling", validation=0.1)


@pytest.fixture
def mocked(monkeypatch):
    """A TFDS data set of made-up examples with these features, under the name "other"."""

    def mock(supervised_keys=None, splits=("train", "test"), **features):
        class Other(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            """Only its features are used."""

            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=supervised_keys
                )

            def _split_generators(self, dl_manager):
                return {split: self._generate_examples() for split in splits}

            def _generate_examples(self):
                yield from ()

        def builder(name, **settings):
            assert name == "other"
            other = Other(data_dir="/nowhere")
            other.info.set_splits(
                tfds.core.splits.SplitDict(
                    [tfds.core.SplitInfo(name=split, shard_lengths=[20], num_bytes=0) for split in splits]
                )
            )
            return other

        monkeypatch.setattr(tfds, "builder", builder)
        return Recipe(dataset="other", batch_size=7)

    return mock


def rows(part):
    """The examples of a part, sorted: (inputs as text, target)."""
    return sorted((str(x), int(y)) for inputs, targets in part for x, y in zip(inputs.numpy(), targets, strict=True))


def test_validation_is_of_every_class_and_of_the_training_part_alone():
    data = datasets.load(ITALY)
    everything = datasets.load(dataclasses.replace(ITALY, validation=0.0))
    assert everything.validation is None
    assert sorted(rows(data.train) + rows(data.validation)) == rows(everything.train)
    assert rows(data.test) == rows(everything.test)
    # 34 winter days and 33 summer days: a fifth of each.
    assert np.bincount([target for _, target in rows(data.validation)]).tolist() == [7, 7]
    assert rows(datasets.load(dataclasses.replace(ITALY, seed=4)).validation) != rows(data.validation)


@pytest.mark.parametrize(
    ("builder", "columns"),
    [
        (builders.GreensboroWeather, list(builders.GreensboroWeather.COLUMNS)),
        (builders.DailyStocks, list(builders.DailyStocks.COLUMNS)),
        (builders.JapaneseVowels, [f"cepstrum {number}" for number in range(1, 13)]),
        (builders.ItalyPowerDemand, ["demand"]),
    ],
)
def test_builders_name_what_a_step_holds_and_its_unit(builder, columns):
    assert list(builder.UNITS) == columns
    assert all(builder.UNITS.values())


def test_units_are_among_the_names():
    assert datasets.load(ITALY, test=False).names["units"] == {"demand": "z-score"}


def test_units_of_a_forecast_follow_the_recipes_columns():
    recipe = RECIPES["greensboro_weather"]
    names = datasets.load(dataclasses.replace(recipe, features=["wind_speed", "temperature"]), test=False).names
    assert names["units"] == {"wind_speed": "m/s", "temperature": "°C"}
    assert list(names["units"]) == names["features"]


def test_test_part_is_left_alone():
    assert datasets.load(ITALY, test=False).test is None


def test_mean_and_variance_are_those_of_the_training_part():
    data = datasets.load(Recipe(dataset="japanese_vowels", validation=0.2))
    steps = np.concatenate([x[np.any(x != 0, axis=-1)] for x, _ in data.train.as_numpy_iterator()])
    np.testing.assert_allclose(data.arguments["mean"], steps.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(data.arguments["variance"], steps.var(axis=0), rtol=1e-4)


def test_order_is_a_function_of_seed_and_epoch_alone():
    def targets(data, epoch):
        return np.concatenate([y for _, y in data.train_at(epoch).as_numpy_iterator()]).tolist()

    first, again = datasets.load(ITALY), datasets.load(ITALY)
    for epoch in range(3):
        last = targets(first, epoch)
    tf.random.set_seed(7)
    assert targets(again, 2) == last != targets(first, 1)
    assert sorted(last) == sorted(np.concatenate([y for _, y in first.train.as_numpy_iterator()]).tolist())


def test_treebank_words_tags_and_weights():
    data = datasets.load(TREEBANK)
    assert data.arguments == {"vocabulary": len(data.names["vocabulary"]), "classes": 14}
    steps = 0
    for part in (data.train, data.validation, data.test):
        for tokens, tags, weights in part.as_numpy_iterator():
            steps += weights.sum()
            np.testing.assert_array_equal(weights, tokens != 0)
            assert tags.max() < 14
            assert tokens.max() < data.arguments["vocabulary"]
    assert steps == 81_370


def test_vocabulary_and_endings():
    singing = [f"{letter}inging" for letter in "abcde"]
    entries = words.vocabulary([["the", "the", "cat", "cat", "the", *singing]], 10)
    assert entries[:4] == ["", "\ufffd", "the", "cat"]
    assert "…ging" in entries
    assert "aing" not in entries
    numbers = words.encoder(entries)(["the", "zinging", "xyz"])
    assert [entries[number] for number in numbers] == ["the", "…ging", "…"]
    assert words.encoder(entries)([]).tolist() == [1]
    assert words.encoder(["", "\ufffd", "the"])(["The"]).tolist() == [1]
    assert words.vocabulary([["a", "a", "b", "b", "b"]], 1)[2:] == ["b"]


def test_imdb_reviews_as_words():
    with tfds.testing.mock_data(num_examples=20):
        data = datasets.load(Recipe(dataset="imdb_reviews", validation=0.2, longest=5, batch_size=7))
    tokens, label = next(iter(data.train))
    assert (tokens.dtype, label.dtype, label.shape) == (tf.int32, tf.int32, (7,))
    assert tokens.shape[1] <= 5
    assert data.arguments == {"vocabulary": len(data.names["vocabulary"]), "classes": 2}
    assert data.names["classes"] == ["neg", "pos"]
    assert sum(len(y) for _, y in data.train) + sum(len(y) for _, y in data.validation) == 20


def test_speech_commands_as_mel_bands():
    with tfds.testing.mock_data(num_examples=20):
        data = datasets.load(Recipe(dataset="speech_commands"))
    frames, _ = next(iter(data.train))
    assert frames.dtype == tf.float32
    assert frames.shape[2] == data.arguments["features"] == sequences.MEL_BANDS
    assert len(data.names["classes"]) == 12
    assert np.isfinite(frames).all()


def test_log_mel_finds_the_pitch():
    time = np.arange(16_000) / 16_000
    low, high = (
        sequences.log_mel(tf.constant(np.int64(20_000 * np.sin(2 * np.pi * pitch * time))), 16_000)
        for pitch in (300, 3_000)
    )
    assert low.shape == (100, 40)
    assert np.argmax(low[50]) < np.argmax(high[50])
    # The same sound as float.
    same = sequences.log_mel(tf.constant(np.int64(20_000 * np.sin(2 * np.pi * 300 * time)) / 32768), 16_000)
    np.testing.assert_allclose(low, same, atol=1e-3)


def test_tags_of_another_data_set_are_named_by_the_recipe(mocked):
    tags = tfds.features.Sequence(tfds.features.ClassLabel(names=["O", "PER"]))
    recipe = mocked(tokens=tfds.features.Sequence(tfds.features.Text()), ner=tags, pos=tags)
    recipe = dataclasses.replace(recipe, task="labelling", target="ner")
    examples = [(["Ann", "is", "here"], [1, 0, 0]), (["So", "is", "Bo", "and", "Li"], [0, 0, 1, 0, 1])]

    def as_dataset(self, *args, **settings):
        spec = {"tokens": tf.TensorSpec((None,), tf.string), "ner": tf.TensorSpec((None,), tf.int64)}
        return tf.data.Dataset.from_generator(
            lambda: ({"tokens": tokens, "ner": ner} for tokens, ner in examples), output_signature=spec
        )

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        data = datasets.load(recipe)
        examples.append((["too", "short"], [1]))
        with pytest.raises(ValueError, match="expected a class at each step in other; received 1 classes of 2"):
            datasets.load(recipe)
    assert data.names["classes"] == ["O", "PER"]
    tokens, tags, weights = next(iter(data.test))
    assert tags.numpy().tolist() == [[1, 0, 0, 0, 0], [0, 0, 1, 0, 1]]
    assert weights.numpy().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert data.names["vocabulary"][2] == "is"
    assert tokens.numpy()[:, 1].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("settings", "features", "message"),
    [
        ({}, {"a": tfds.features.Text()}, r"expected other to name its inputs and its target .* features \['a'\]"),
        ({"target": "b"}, {"a": tfds.features.Text()}, r"to have the feature 'b'; received \['a'\]"),
        (
            {},
            {"x": tfds.features.Text(), "y": np.float32},
            "expected the feature 'y' of other to be a ClassLabel, for classification",
        ),
        (
            {"task": "labelling"},
            {"x": tfds.features.Text(), "y": tfds.features.ClassLabel(num_classes=2)},
            "expected the feature 'y' of other to be a sequence of ClassLabel, for labelling",
        ),
        (
            {},
            {"x": tfds.features.Image(shape=(4, 4, 1)), "y": tfds.features.ClassLabel(num_classes=2)},
            r"expected the feature 'x' of other to be text, audio or \(time, features\); received Image",
        ),
    ],
)
def test_refused(mocked, settings, features, message):
    recipe = mocked(("x", "y") if "y" in features else None, **features)
    with tfds.testing.mock_data(num_examples=4), pytest.raises(ValueError, match=message):
        datasets.load(dataclasses.replace(recipe, **settings))


def test_a_missing_test_split_is_refused(mocked):
    recipe = mocked(("x", "y"), ("train",), x=tfds.features.Text(), y=tfds.features.ClassLabel(num_classes=2))
    with tfds.testing.mock_data(num_examples=4):
        assert datasets.load(recipe, test=False).test is None
        with pytest.raises(ValueError, match=r"expected other to have the split 'test'; received \['train'\]"):
            datasets.load(recipe)


def test_a_validation_part_of_nothing_is_refused():
    with pytest.raises(
        ValueError, match=r"expected 0\.01 of the training part of italy_power_demand to be at least one example"
    ):
        datasets.load(dataclasses.replace(ITALY, validation=0.01))


def test_numbers_with_a_class_at_each_step_have_weights_of_steps():
    source = examples.Sequences([np.ones((3, 2)), np.zeros((1, 2))], [np.array([0, 0, 1]), np.array([1])])
    inputs, targets, weights = source.batch([0, 1])
    assert inputs.shape == (2, 3, 2)
    np.testing.assert_array_equal(targets, [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(weights, [[1, 1, 1], [1, 0, 0]])
