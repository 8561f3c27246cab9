"""TFDS builders over files that installed packages ship. Importing this module registers them."""

import numpy as np
import tensorflow_datasets as tfds

from keras_lstm_gates.datasets.shipped import read_ts, shipped_file


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
