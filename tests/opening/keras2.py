"""Files of Keras 2, written once a run of the tests by tf-keras in a process of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np

MODELS = """attention autoencoder bidirectional_states built_late convolution convolutional_lstm cudnn
    cudnn_both_ways encoder_decoder first_shape_in_the_layer frames free_time gru_beside masking merged_sum
    mask_ends_at_an_operation
    nested_twice relu_regularized sentiment siamese slashes stacked_cells stateful stateful_characters
    stock_forecast tagger tensorflow_operations tensorflow_functions loss_within several_devices words_and_letters
    masked_letters masked_frames masks_joined normalized""".split()


class Files:
    """The folder of the files, and what tf-keras answered."""

    def __init__(self, folder):
        self.folder = folder
        if not (folder / "answers.npz").exists():
            folder.mkdir(exist_ok=True)
            script = Path(__file__).parent / "tf_keras_models.py"
            done = subprocess.run([sys.executable, "-W", "ignore", script, folder], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-2000:]
        with np.load(folder / "answers.npz") as answers:
            self._answers = dict(answers)

    def inputs(self, name):
        return self._numbered(name, "in")

    def outputs(self, name):
        return self._numbered(name, "out")

    def ways(self, name):
        """(path, path of weights or None) of every file of a model."""
        ways = [(f"{name}.h5", None), (f"{name}.keras", None), (f"{name}_saved_model", None)]
        ways += [(f"{name}.json", f"{name}{end}") for end in ("_weights.h5", ".weights.h5", "_checkpoint.index")]
        for path, weights in ways:
            if (self.folder / path).exists() and (weights is None or (self.folder / weights).exists()):
                yield self.folder / path, weights and self.folder / weights

    def _numbered(self, name, side):
        keys = [f"{name}/{side}{place}" for place in range(40)]
        return [self._answers[key] for key in keys if key in self._answers]


def answers(model, inputs):
    """What a model answers, as a list of arrays."""
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(one) for one in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]
