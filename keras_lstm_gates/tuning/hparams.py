"""A search for TensorBoard's HParams page."""

import tensorflow as tf
from tensorboard.plugins.hparams import api

from keras_lstm_gates._support.files import part_of_path, replaced_when_whole
from keras_lstm_gates.tuning.trials import COMPLETED, read_record, record_file


def write(search):
    """Write the folder tensorboard: each completed trial's values, metrics and figures by epoch."""
    with replaced_when_whole(search.folder / "tensorboard") as temporary:
        temporary.mkdir()
        for trial in search.trials:
            if trial["status"] != COMPLETED:
                continue
            record = read_record(record_file(search.folder, trial["trial"]))
            with tf.summary.create_file_writer(str(temporary / part_of_path(trial["trial"], "a trial"))).as_default():
                api.hparams(trial["values"], trial_id=trial["trial"])
                epochs = record["history"] or [{"epoch": 0, **record["metrics"]}]
                for epoch in epochs:
                    for name in set(epoch) - {"epoch"}:
                        tf.summary.scalar(name, epoch[name], step=epoch["epoch"])
