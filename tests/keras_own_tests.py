"""Keras's own tests of LSTM, LSTMCell and Bidirectional, run with this package's layers in their place.

    python tests/keras_own_tests.py [FOLDER]

FOLDER holds lstm_test.py, bidirectional_test.py and stacked_rnn_cells_test.py: the folder layers/rnn of Keras, which
the installed package has with its tests, or that of another version's source. One line a file and set of layers; the
exit code is 0 where all tests pass.
"""

import importlib.util
import sys
import unittest
from pathlib import Path

import keras

from keras_lstm_gates import layers

INSTALLED = Path(keras.__file__).parent / "src" / "layers" / "rnn"
OURS = {"LSTM": layers.GatedLSTM, "LSTMCell": layers.GatedLSTMCell}
RUNS = (
    ("lstm_test.py", OURS),
    ("stacked_rnn_cells_test.py", OURS),
    ("bidirectional_test.py", OURS),
    ("bidirectional_test.py", {**OURS, "Bidirectional": layers.Bidirectional}),
)


class _Layers:
    """The module `layers` of a test, with other classes under some of its names; `used` are those it asked for."""

    def __init__(self, module, stand_ins):
        self._module, self._stand_ins, self.used = module, stand_ins, set()

    def __getattr__(self, name):
        if name in self._stand_ins:
            self.used.add(name)
            return self._stand_ins[name]
        return getattr(self._module, name)


def run(path, stand_ins):
    """The result of the tests in a file of Keras, and the names of the stand-ins that they used."""
    spec = importlib.util.spec_from_file_location(f"keras_own_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.layers = _Layers(module.layers, stand_ins)
    result = unittest.TextTestRunner(verbosity=0).run(unittest.defaultTestLoader.loadTestsFromModule(module))
    return result, module.layers.used


def main(folder=INSTALLED):
    passed = True
    for name, stand_ins in RUNS:
        result, used = run(Path(folder) / name, stand_ins)
        failed = len(result.failures) + len(result.errors)
        passed = passed and result.testsRun > 0 and not failed
        ours = ", ".join(stand_ins[stock].__name__ for stock in sorted(used))
        print(f"{name} of Keras {keras.__version__} with {ours}: {result.testsRun} run, {failed} failed")
    return passed


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:]))
