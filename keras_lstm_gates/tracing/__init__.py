"""Every gate of every step as labelled arrays: traces, their store, their statistics, and a monitor of training."""

from keras_lstm_gates.tracing.gate_statistics import of_layer, statistics
from keras_lstm_gates.tracing.monitor import GateMonitor
from keras_lstm_gates.tracing.trace_inputs import channel_names, input_of, sole_input, tokens
from keras_lstm_gates.tracing.traces import concatenated, flat, load, node, nodes, save, trace

__all__ = [
    "GateMonitor",
    "channel_names",
    "concatenated",
    "flat",
    "input_of",
    "load",
    "node",
    "nodes",
    "of_layer",
    "save",
    "sole_input",
    "statistics",
    "tokens",
    "trace",
]
