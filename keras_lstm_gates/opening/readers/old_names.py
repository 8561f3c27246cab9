"""What Keras 1 and 2 called otherwise than Keras 3 does: plain tables."""

CLASSES = {
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "TimeDistributedDense": "Dense",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "DenseV2": "Dense",
}
"""The layers' classes; ThresholdedReLU is a ReLU too, see `LAYER_ARGUMENTS`."""

MODELS = ("Functional", "Model", "Sequential", "Graph")

CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells")

RECURRENT = ("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional")
"""Layers that are called with [x, h, c] where Keras 3 takes `initial_state`."""

HARD_SIGMOID = {
    "module": "builtins",
    "class_name": "function",
    "config": "keras_lstm_gates>keras2_hard_sigmoid",
    "registered_name": "function",
}

ACTIVATIONS = {"swish": "silu", "hard_sigmoid": HARD_SIGMOID}

INITIALIZERS = {
    "normal": "random_normal",
    "uniform": "random_uniform",
    "one": "ones",
    "zero": "zeros",
    "Initializer": "glorot_uniform",
}

DISTRIBUTIONS = {"normal": "truncated_normal"}
"""Of `VarianceScaling`."""

_WEIGHTS = {
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "U_constraint": "recurrent_constraint",
    "b_constraint": "bias_constraint",
    "init": "kernel_initializer",
    "bias": "use_bias",
}
_WINDOWS = {"border_mode": "padding", "stride": "strides", "pool_length": "pool_size", "subsample_length": "strides"}
_RECURRENT = {
    **_WEIGHTS,
    "output_dim": "units",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "forget_bias_init": "unit_forget_bias",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}

ARGUMENTS = {
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "SimpleRNN": _RECURRENT,
    "Dense": {**_WEIGHTS, "output_dim": "units"},
    "Embedding": {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "Dropout": {"p": "rate"},
    "SpatialDropout1D": {"p": "rate"},
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "Conv1D": {**_WEIGHTS, **_WINDOWS, "nb_filter": "filters", "filter_length": "kernel_size"},
    "MaxPooling1D": _WINDOWS,
    "AveragePooling1D": _WINDOWS,
    "UpSampling1D": {"length": "size"},
    "LeakyReLU": {"alpha": "negative_slope"},
    "ThresholdedReLU": {"theta": "threshold"},
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
}
"""{class: {old argument: that of Keras 3}}; an argument that the file has under its new name too keeps that."""

DROPPED = {
    "batch_input_shape",
    "batch_shape",
    "build_input_shape",
    "cache_inputs",
    "causal",
    "consume_less",
    "implementation",
    "input_dim",
    "input_dtype",
    "input_length",
    "input_shape",
    "mode",
    "noise_shape",
    "ragged",
    "time_major",
    "weights",
    "virtual_batch_size",
    "adjustment",
    "fused",
    "num_constants",
    "optional",
    "sparse",
    "query_shape",
    "rng_type",
    "key_shape",
    "value_shape",
    "batch_size",
    "data_format",
    "momentum",
    "input_spec",
    "dynamic",
    "zero_output_for_mask",
    "bias_constraint",
    "dilation_rate",
    "groups",
    "experimental_autocast",
    "autocast",
    "return_attention_scores",
    "supports_masking",
    "dtype",
    "trainable",
    "name",
}
"""Arguments that a class of Keras 3 need not take: they say nothing that changes a number, or only at these values."""

NEUTRAL = {
    "causal": (False,),
    "dropout": (0, 0.0),
    "mode": (0, None),
    "noise_shape": (None,),
    "ragged": (False, None),
    "time_major": (False, None),
    "virtual_batch_size": (None,),
    "adjustment": (None,),
    "num_constants": (None, 0),
    "zero_output_for_mask": (False, None),
    "dilation_rate": (1, [1], [1, 1], None),
    "groups": (1,),
    "sparse": (False, None),
    "data_format": ("channels_last", None),
    "return_attention_scores": (False,),
}
"""{argument: the values at which it may be left out}; others are refused by name."""
