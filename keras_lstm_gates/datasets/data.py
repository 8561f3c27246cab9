"""From a recipe to batches: training, validation and test part, and the model's arguments that follow from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_lstm_gates.datasets import examples, forecasting, language, sequences, tfds_names
from keras_lstm_gates.recipe_keys import AUTO

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds


_TASKS = {"classification": sequences, "labelling": sequences, "forecasting": forecasting, "language": language}


class Data(NamedTuple):
    """The data of a recipe, ready to train with.

    Each part is a `tf.data.Dataset` of batches (inputs, targets) or (inputs, targets, weights), in a fixed order:

        task             inputs                                     targets
        classification   (batch, time, features) float, zeros pad   (batch,) int
        labelling        (batch, time) int, 0 pads                  (batch, time) int; weights 1 = a real step
        forecasting      (batch, window, features) float            (batch, horizon) float, both in their own units; of
                                                                    groups scaled by their windows also weights (batch,
                                                                    1) in training and validation
        language         (batch, window) int                        (batch, window) int, the next character

    Attributes:
        train, validation, test: `tf.data.Dataset`, each pass in the same order. validation is None where the recipe
            sets none aside; test is None where it was not requested.
        train_at: epoch -> `tf.data.Dataset`: one pass over the training part in an order that depends only on the
            recipe's seed and this number. A run that resumes at epoch 5 with `train_at(5)` gets the batches of an
            uninterrupted run. At most `epoch_size` windows where the recipe has it, others in each epoch.
        some: ("train" or "validation", most) -> (inputs, targets), at most so many evenly spaced examples as arrays;
            with a third argument True also their weights, where the batches have them.
        arguments: dict, keyword arguments of the task's model that follow from the training part:
            classification   features, classes, mean, variance; of tokens vocabulary, classes
            labelling        vocabulary, classes
            forecasting      features, horizon, mean, variance, target_mean, target_variance
            language         vocabulary
        names: dict, what the numbers mean, as plain data: classes, vocabulary, features, units, target, step ...
    """

    train: Any
    validation: Any
    test: Any
    arguments: dict
    names: dict
    train_at: Callable[[int], Any]
    some: Callable[..., tuple] | None = None


def load(recipe: Any, test: bool = True) -> Data:
    """The data of a recipe.

    Args:
        recipe: `keras_lstm_gates.recipes.Recipe`.
        test: bool. False leaves the test part unread, so that a search cannot touch it.

    Returns:
        `Data`.

    Example:
        >>> from keras_lstm_gates.recipes import Recipe
        >>> data = load(Recipe(dataset="japanese_vowels", validation=0.2, batch_size=16))
        >>> [sum(len(targets) for _, targets in part) for part in (data.train, data.validation, data.test)]
        [216, 54, 370]
        >>> data.arguments["features"], data.arguments["classes"]
        (12, 9)
    """
    left = [name for name, value in recipe.to_dict().items() if value == AUTO]
    if left:
        raise ValueError(
            f"expected a recipe that leaves nothing open; received {left[0]}='auto': "
            "keras_lstm_gates.training.settled(recipe) chooses it"
        )
    (train, validation, test_part), arguments, names = _TASKS[recipe.task].parts(recipe, test)
    return Data(
        examples.in_order(train, recipe.batch_size),
        None if validation is None else examples.in_order(validation, recipe.batch_size),
        None if test_part is None else examples.in_order(test_part, recipe.batch_size),
        arguments,
        names,
        lambda epoch: examples.shuffled(train, recipe.batch_size, recipe.seed, epoch, recipe.epoch_size),
        lambda part, most, weights=False: examples.some({"train": train, "validation": validation}[part], most)[
            : 3 if weights else 2
        ],
    )


def batches(
    name: str, split: str, batch_size: int = 32, *, shuffle_seed: int | None = None
) -> tuple[tf.data.Dataset, tfds.core.DatasetInfo]:
    """Batches (inputs, targets) of a TFDS data set, sequences padded with zeros to the longest of their batch.

    Args:
        name: str, any name `tfds.load` knows, with supervised keys.
        split: str, for example "train", "test" or "train[:80%]".
        batch_size: int > 0.
        shuffle_seed: int or None. With a seed the examples are shuffled anew in every epoch, in an order that the
            seed determines; without one they keep their order.

    Returns:
        (`tf.data.Dataset`, `tfds.core.DatasetInfo`).

    Example:
        >>> train, info = batches("japanese_vowels", "train", batch_size=16)
        >>> frames, speaker = next(iter(train))
        >>> frames.shape[0], frames.shape[2], speaker.shape[0], info.features["speaker"].num_classes
        (16, 12, 16, 9)
    """
    builder = tfds_names.prepared(name)
    pairs = builder.as_dataset(split=split, as_supervised=True)
    if shuffle_seed is not None:
        pairs = pairs.shuffle(len(pairs), seed=shuffle_seed, reshuffle_each_iteration=True)
    return pairs.padded_batch(batch_size), builder.info
