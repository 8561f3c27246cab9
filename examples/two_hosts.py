"""One search on many machines: the same script in each, a folder that all share.

On the host 192.168.1.10, which chooses the trials and must be reached at the port:

    KERASTUNER_TUNER_ID=chief  KERASTUNER_ORACLE_IP=192.168.1.10 KERASTUNER_ORACLE_PORT=8000 \
        python examples/two_hosts.py /shared/search

On as many hosts as there are, with a number each (also on the first, in another terminal):

    KERASTUNER_TUNER_ID=tuner0 KERASTUNER_ORACLE_IP=192.168.1.10 KERASTUNER_ORACLE_PORT=8000 \
        python examples/two_hosts.py /shared/search

Set KERASTUNER_ORACLE_TOKEN to the same secret on all hosts, and others are refused; but nothing is encrypted, as a
warning says: this is for a network of these hosts alone. On another one let it listen at 127.0.0.1, and each other
host reach that by a tunnel of its own: ssh -N -L 8000:127.0.0.1:8000 192.168.1.10

A recipe needs no script: keras-lstm-gates tune japanese_vowels --out /shared/search --chief 192.168.1.10:8000
--role chief, and --role worker --id 0, --id 1 ... A worker or a chief that was killed is started again by its own line.
"""

import argparse

import keras
import numpy as np
from rich.console import Console

from keras_lstm_gates import GatedLSTM, tuning


def build(hp):
    """A forecaster of a noisy sine, of any size."""
    inputs = keras.Input((24, 1))
    x = GatedLSTM(hp.Int("units", 4, 32, sampling="log"))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 3e-2, sampling="log")), loss="mse")
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="that all machines share")
    parser.add_argument("--trials", type=int, default=8)
    given = parser.parse_args()
    series = np.sin(np.arange(600) / 5) + np.random.default_rng(0).normal(0, 0.1, 600)
    windows = np.lib.stride_tricks.sliding_window_view(series, 25).astype("float32")
    fit = {"x": windows[:, :24, None], "y": windows[:, 24:], "epochs": 5, "validation_split": 0.2}
    console = Console()
    found = tuning.search(build, given.folder, trials=given.trials, fit=fit, console=console)
    console.print(tuning.TrialTable(found))


if __name__ == "__main__":
    main()
