"""Sequences with a class each, or with a class at each step, from any TFDS data set."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_lstm_gates.datasets import examples, tfds_names, words

MEL_BANDS = 40


def parts(recipe, test):
    """((train, validation, test), arguments, names) of a recipe; `keras_lstm_gates.datasets.load`."""
    builder = tfds_names.prepared(recipe.dataset)
    for split in ("train", "test") if test else ("train",):
        if builder.info.splits and split not in builder.info.splits:
            raise ValueError(
                f"expected {recipe.dataset} to have the split {split!r}; received {sorted(builder.info.splits)}"
            )
    keys = _keys(builder.info, recipe)
    sequence, label = (builder.info.features[key] for key in keys)
    names = {"classes": _classes(recipe, keys[1], label)}
    arguments = {"classes": len(names["classes"])}

    def read(split):
        rows = builder.as_dataset(split=split, shuffle_files=False)
        if isinstance(sequence, tfds.features.Audio):
            rate = sequence.sample_rate or 16_000
            rows = rows.map(lambda row: row | {keys[0]: log_mel(row[keys[0]], rate)})
        pairs = [tuple(row[key] for key in keys) for row in tfds.as_numpy(rows)]
        inputs, targets = map(list, zip(*pairs, strict=True))
        for steps, target in zip(inputs, targets, strict=True):
            if np.ndim(target) and len(target) != len(steps):
                raise ValueError(
                    f"expected a class at each step in {recipe.dataset}; received {len(target)} classes of {len(steps)}"
                )
        inputs = [_readable(sequence, values)[: recipe.longest] for values in inputs]
        return inputs, [target[: recipe.longest] if np.ndim(target) else target for target in targets]

    inputs, targets = read("train")
    train_indices, validation_indices = _split(np.zeros(len(targets)) if np.ndim(targets[0]) else targets, recipe)
    if isinstance(inputs[0], list):
        names["vocabulary"] = words.vocabulary((inputs[number] for number in train_indices), recipe.vocabulary)
        arguments["vocabulary"] = len(names["vocabulary"])
        encode = words.encoder(names["vocabulary"])
    elif np.ndim(inputs[0]) == 2:
        steps = np.concatenate([inputs[number] for number in train_indices]).astype(np.float64)
        variance = np.where(np.ptp(steps, axis=0) == 0, 1.0, steps.var(axis=0))
        arguments |= {
            "features": steps.shape[1],
            "mean": steps.mean(axis=0).tolist(),
            "variance": variance.tolist(),
        }
        names |= tfds_names.units(builder)
        encode = np.asarray
    else:
        raise ValueError(
            f"expected the feature {keys[0]!r} of {recipe.dataset} to be text, audio or (time, features); received "
            f"{sequence}"
        )

    def part(inputs, targets, indices):
        return examples.Sequences([encode(inputs[number]) for number in indices], [targets[n] for n in indices])

    test_part = None
    if test:
        test_inputs, test_targets = read("test")
        test_part = part(test_inputs, test_targets, range(len(test_inputs)))
    validation = part(inputs, targets, validation_indices) if len(validation_indices) else None
    return (part(inputs, targets, train_indices), validation, test_part), arguments, names


def log_mel(audio, rate):
    """The logarithm of the energy in 40 mel bands, 25 ms every 10 ms: (samples,) to (time, 40) float32.

    Args:
        audio: (samples,) int of 16 bits, or float in [-1, 1].
        rate: int, samples a second.
    """
    audio = tf.cast(audio, tf.float32) / (32768.0 if audio.dtype.is_integer else 1.0)
    spectrum = tf.abs(tf.signal.stft(audio, rate // 40, rate // 100, pad_end=True))
    bands = tf.signal.linear_to_mel_weight_matrix(MEL_BANDS, spectrum.shape[-1], rate, 20.0, rate / 2)
    return tf.math.log(tf.matmul(tf.square(spectrum), bands) + 1e-6)


def _keys(info, recipe):
    """The names of the inputs and of the target among the features of a TFDS data set."""
    texts = [name for name, feature in info.features.items() if _is_words(feature)]
    if recipe.target is not None and recipe.target not in info.features:
        raise ValueError(
            f"expected {recipe.dataset} to have the feature {recipe.target!r}; received {sorted(info.features)}"
        )
    if recipe.target is not None and texts:
        return texts[0], recipe.target
    keys = info.supervised_keys
    if keys is None or len(keys) != 2 or not all(isinstance(key, str) for key in keys):
        raise ValueError(
            f"expected {recipe.dataset} to name its inputs and its target as supervised keys, or a recipe with a "
            f"target; received the features {sorted(info.features)}"
        )
    return keys[0], recipe.target or keys[1]


def _is_words(feature):
    return isinstance(getattr(feature, "feature", None), tfds.features.Text)


def _classes(recipe, key, label):
    per_step = recipe.task == "labelling"
    label = getattr(label, "feature", None) if per_step else label
    if not isinstance(label, tfds.features.ClassLabel):
        kind = "a sequence of ClassLabel" if per_step else "a ClassLabel"
        raise ValueError(f"expected the feature {key!r} of {recipe.dataset} to be {kind}, for {recipe.task}")
    return list(label.names)


def _readable(feature, values):
    """Text as a list of words, anything else unchanged."""
    if isinstance(feature, tfds.features.Text):
        return words.of_text(values.decode())
    if _is_words(feature):
        return [word.decode() for word in values]
    return values


def _split(labels, recipe):
    """(training, validation) indices, each ascending, stratified by class."""
    labels = np.asarray(labels)
    order = np.random.default_rng(recipe.seed).permutation(len(labels))
    of_classes = [order[labels[order] == label] for label in np.unique(labels)]
    validation_indices = np.sort(
        np.concatenate([indices[: round(recipe.validation * len(indices))] for indices in of_classes])
    )
    if recipe.validation and not len(validation_indices):
        raise ValueError(
            f"expected {recipe.validation} of the training part of {recipe.dataset} to be at least one example; "
            f"received {len(labels)} examples of {len(of_classes)} classes"
        )
    return np.setdiff1d(np.arange(len(labels)), validation_indices), validation_indices
