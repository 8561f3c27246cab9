"""The data sets are what their publishers say, and a damaged file is refused."""

import hashlib
import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_lstm_gates import datasets


def test_japanese_vowels_is_the_published_set():
    for split, size, counts in (("train", 270, [30] * 9), ("test", 370, [31, 35, 88, 44, 29, 24, 40, 50, 29])):
        examples = list(tfds.as_numpy(tfds.load("japanese_vowels", split=split)))
        assert len(examples) == size
        assert np.bincount([example["speaker"] for example in examples]).tolist() == counts
        lengths = [len(example["frames"]) for example in examples]
        assert (min(lengths), max(lengths)) == ((7, 26) if split == "train" else (7, 29))
        assert {example["frames"].shape[1] for example in examples} == {12}


def test_the_first_utterance_is_the_first_of_the_file():
    path = importlib.metadata.distribution("sktime").locate_file(
        "sktime/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN.ts"
    )
    text = Path(path).read_text().partition("@data\n")[2].splitlines()[0]
    channels, label = next(datasets.read_ts(path))
    assert text.startswith(",".join(f"{value:.6f}".rstrip("0") for value in channels[0][:3]))
    assert text.endswith(f":{label}")


def test_batches_are_padded_with_zeros_and_shuffled_by_the_seed():
    def labels(seed):
        train, _ = datasets.batches("japanese_vowels", "train", 270, shuffle_seed=seed)
        frames, speakers = next(iter(train))
        lengths = np.any(frames.numpy() != 0, axis=-1).sum(axis=1)
        assert frames.shape[1] == lengths.max() > lengths.min()
        return speakers.numpy().tolist()

    assert labels(3) == labels(3)
    assert labels(3) != labels(4)


def test_missing_package():
    with pytest.raises(FileNotFoundError, match=r"no_such_package is not installed; run: pip install"):
        datasets.shipped_file("no_such_package", "file.ts", "0" * 64)


def test_missing_file():
    with pytest.raises(FileNotFoundError, match=r"expected numpy to ship numpy/none\.ts; found no such file"):
        datasets.shipped_file("numpy", "numpy/none.ts", "0" * 64)


def test_changed_file():
    path = importlib.metadata.distribution("numpy").locate_file("numpy/__init__.py")
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert datasets.shipped_file("numpy", "numpy/__init__.py", digest) == Path(path)
    with pytest.raises(ValueError, match=f"must have the sha256 {'0' * 64}; received {digest}"):
        datasets.shipped_file("numpy", "numpy/__init__.py", "0" * 64)
