"""Data parallel training over processes and machines: `tf.distribute` with a custom training loop.

`keras.Model.fit` fails under `tf.distribute.MultiWorkerMirroredStrategy` (Keras 3.15: "Attempt to convert a value
(PerReplica...) to a Tensor"), so the loop is our own; the cluster and the all-reduce are TensorFlow's.

Every worker holds the whole model, identical by its seed or its checkpoint, makes the same batches and takes its rows
of each. The gradients of the rows are summed over all workers, and each takes the same step. The variables are made
outside the strategy's scope: within it, a Keras optimizer would clip each worker's gradients before their sum, and its
step would differ from that of one process.
"""

import functools
import json
import os
import warnings
import zlib

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates.losses import SummedCrossEntropy


def is_cluster():
    """Whether TF_CONFIG describes a cluster of several workers."""
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
    return len(cluster.get("chief", [])) + len(cluster.get("worker", [])) > 1


def strategy():
    """The strategy of the cluster that TF_CONFIG describes, or None without a cluster or with a single worker.

    It must be made before TensorFlow runs anything else in this process.
    """
    if not is_cluster():
        return None
    warnings.warn(
        "TensorFlow's server of this worker listens on every network of this machine, without a password: whoever "
        "reaches its port can read and write files. Use a network of your machines alone",
        stacklevel=3,
    )
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief():
    """Whether this process writes the run folder: the cluster's chief or, without one, its worker 0."""
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    task = config.get("task", {})
    return task.get("type") == "chief" or (task.get("index", 0) == 0 and "chief" not in config.get("cluster", {}))


def fit(model, strategy, data, *, initial_epoch, epochs, callbacks):
    """`keras.Model.fit` on each worker of a strategy, for a `keras_lstm_gates.datasets.Data`.

    Without noise and dropout the weights are those of one process with the same batches, up to rounding. Noise and
    dropout draw the same numbers on every worker.

    Args:
        model: compiled `keras.Model`, made outside the strategy's scope.
        strategy: of `strategy()`.
        data: `Data`, the same on each worker, of whole batches.
        initial_epoch, epochs, callbacks: as of `keras.Model.fit`; the logs hold loss and, with validation, val_loss,
            the same on each worker.

    Raises:
        ValueError: the workers hold different models, or are at different epochs.
    """
    _agree(model, strategy, initial_epoch)
    train, evaluate = (_step(model, strategy, data.train.element_spec, training) for training in (True, False))
    callbacks = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs)
    model.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(initial_epoch, epochs):
        callbacks.on_epoch_begin(epoch)
        logs = {"loss": _pass(train, data.train_at(epoch), callbacks)}
        if data.validation is not None:
            logs["val_loss"] = _pass(evaluate, data.validation)
        callbacks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    callbacks.on_train_end()


def _agree(model, strategy, epoch):
    weights = functools.reduce(lambda crc, weight: zlib.crc32(np.array(weight).tobytes(), crc), model.weights, 0)
    state = tf.constant([epoch, weights], "int64")

    @tf.function
    def summed():
        return strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("sum", state))

    if not np.array_equal(strategy.experimental_local_results(summed())[0], state * strategy.num_replicas_in_sync):
        raise ValueError(
            "expected every worker with the same recipe, the same data and a run folder that all of them share; "
            f"received models or epochs that differ; this worker is at epoch {epoch}"
        )


def _pass(step, batches, callbacks=None):
    """One pass over batches; the mean loss per example."""
    total, examples = 0.0, 0
    for number, batch in enumerate(batches):
        size = len(batch[1])
        if callbacks is not None:
            callbacks.on_train_batch_begin(number)
        loss = step(batch)
        total, examples = total + loss * size, examples + size
        if callbacks is not None:
            callbacks.on_train_batch_end(number, {"loss": loss})
    return total / examples


def _step(model, strategy, spec, training):
    """A function of a whole batch that takes one step on all workers and returns the loss over the whole batch."""

    @tf.function(input_signature=[spec])
    def on_all(batch):
        return strategy.run(on_one, args=(batch,))

    def on_one(batch):
        replicas = tf.distribute.get_replica_context()
        (x, y, *weights), share = _rows(batch, replicas.replica_id_in_sync_group, replicas.num_replicas_in_sync)
        with tf.GradientTape() as tape:
            predicted = model(x, training=training)
            # The layers' losses (L1 of the gates) are sums over the batch, the model's loss is a mean.
            loss = share * _mean_loss(model.loss, y, predicted, *weights) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables) if training else []
        return replicas.all_reduce("sum", [loss, *map(tf.convert_to_tensor, gradients)])

    @tf.function
    def apply(gradients):
        model.optimizer.apply(gradients, model.trainable_variables)

    def step(batch):
        loss, *gradients = (strategy.experimental_local_results(value)[0] for value in on_all(batch))
        if training:
            apply(gradients)
        return float(loss)

    return step


def _mean_loss(loss, y, predicted, *weights):
    # Called in a replica, a Keras loss divides by the number of replicas; its method `call` does not.
    if isinstance(loss, SummedCrossEntropy):
        return loss(y, predicted, *weights)
    return tf.reduce_mean(loss.call(y, predicted))


def _rows(batch, replica, replicas):
    """(the rows of a batch that one replica takes, its share in the mean over the batch)."""
    size = tf.shape(batch[1])[0]
    rows = tf.range(size)[replica::replicas]
    share = tf.cast(tf.size(rows), "float32") / tf.cast(size, "float32")
    # A replica without rows takes the first with share 0, as the mean over no rows is NaN.
    indices = rows if tf.size(rows) > 0 else tf.constant([0])
    return [tf.gather(part, indices) for part in batch], share
