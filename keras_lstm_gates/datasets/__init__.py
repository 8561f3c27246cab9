"""Data sets: TFDS builders over files that installed packages ship, and the way from a recipe to batches.

Importing this module registers the builders: `tfds.load("japanese_vowels")` then works, without a network.
"""

from keras_lstm_gates.datasets import builders
from keras_lstm_gates.datasets.data import Data, batches, load
from keras_lstm_gates.datasets.package_files import read_ts, shipped_file

__all__ = ["Data", "batches", "builders", "load", "read_ts", "shipped_file"]
