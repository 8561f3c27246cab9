"""A stock model with its LSTMs swapped for this package's, as users do it: `clone_model` and the layer's config."""

import keras

from keras_lstm_gates.layers import GatedLSTM, GatedLSTMCell

SWAPS = {("keras.layers", "LSTM"): GatedLSTM, ("keras.layers", "LSTMCell"): GatedLSTMCell}


def swapped(model):
    """The same graph and weights with `GatedLSTM` for every LSTM, within wrappers and nested models too."""
    return _cloned(model, _with_gates)


def without_dropout(model):
    """The same graph and weights with every rate of dropout and noise 0."""
    return _cloned(model, _without_dropout)


def _cloned(model, change):
    def clone(layer):
        return keras.saving.deserialize_keras_object(_changed(keras.saving.serialize_keras_object(layer), change))

    clone = keras.models.clone_model(model, clone_function=clone)
    clone.set_weights(model.get_weights())
    return clone


def _changed(config, change):
    if isinstance(config, dict):
        return change({key: _changed(value, change) for key, value in config.items()})
    return [_changed(one, change) for one in config] if isinstance(config, list) else config


def _with_gates(config):
    ours = SWAPS.get((config.get("module"), config.get("class_name")))
    if ours is None:
        return config
    name = keras.saving.get_registered_name(ours)
    return {**config, "module": ours.__module__, "class_name": ours.__name__, "registered_name": name}


def _without_dropout(config):
    rates = dict.fromkeys(config.keys() & {"dropout", "recurrent_dropout", "rate", "stddev"}, 0.0)
    return {**config, **rates}
