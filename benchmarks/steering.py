"""Times an intervention on every gate and state beside the plain layer, both with gates returned, in one run, in turn.

    python benchmarks/steering.py [--shapes 32,100,16,64 ...] [--repeats 15]

Shapes and cases are those of bench_layer.py. The interventions are (1, time, units) tensors, as a steered model holds
them. Measures: forward, and training step (loss on the output; gradients of the weights). Each time is a median over
repeats, in each of which both run once; the last line is the geometric mean of the ratios. At most 1.15 is the aim.
"""

import argparse
import statistics
import time

import numpy as np
from bench_layer import PAUSE, SHAPES, Case

GATES = "ifgoch"


def calls(case):
    """{measure: (function of the plain layer, function of the steered one)}, each of a place among the case's x."""
    import tensorflow as tf

    from keras_lstm_gates import GatedLSTM

    layer = GatedLSTM(case.units, return_sequences=True, return_gates=True)
    xs = [tf.constant(x) for x in case.x]
    # A layer without a static number of steps is called as a model with time=None calls it.
    spec = tf.TensorSpec([case.batch, case.steps, case.features], tf.float32)
    mask = None if case.mask is None else tf.constant(case.mask)
    layer.build(case.x[0].shape)
    rng = np.random.default_rng(0)
    numbers = [
        {
            gate: [tf.constant(rng.uniform(low, high, (1, x.shape[1], case.units)), tf.float32) for low, high in SPAN]
            for gate in GATES
        }
        for x in case.x
    ]
    act_spec = {gate: [tf.TensorSpec([1, case.steps, case.units], tf.float32)] * 2 for gate in GATES}
    weights = [variable.value for variable in layer.trainable_variables]

    def output(x, act, training):
        return layer(x, mask=mask, training=training, **({"interventions": act} if act else {}))

    def gradient(x, act):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(output(x, act, True)["output"] ** 2)
        return tape.gradient(loss, weights)

    plain = tf.function(lambda x: output(x, None, False), input_signature=[spec])
    steered = tf.function(lambda x, act: output(x, act, False), input_signature=[spec, act_spec])
    plain_train = tf.function(lambda x: gradient(x, None), input_signature=[spec])
    steered_train = tf.function(gradient, input_signature=[spec, act_spec])
    return {
        "forward": (lambda at: plain(xs[at]), lambda at: steered(xs[at], numbers[at])),
        "train": (lambda at: plain_train(xs[at]), lambda at: steered_train(xs[at], numbers[at])),
    }


SPAN = ((0.9, 1.0), (-0.05, 0.05))
"""Of scales and shifts: close to nothing done, so that both compute on numbers of one size."""


def seconds(call, count):
    started = time.perf_counter()
    for at in range(count):
        call(at)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=SHAPES)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    ratios = {}
    for shape in arguments.shapes:
        case = Case(shape)
        for measure, both in calls(case).items():
            for call in both:
                seconds(call, len(case.x))
            times = ([], [])
            for _ in range(arguments.repeats):
                for of_one, call in zip(times, both, strict=True):
                    time.sleep(PAUSE)
                    of_one.append(seconds(call, len(case.x)))
            plain, steered = (statistics.median(of_one) for of_one in times)
            ratios.setdefault(measure, []).append(steered / plain)
            print(f"{shape:>22} {measure:>8}  {1e3 * plain:8.2f} ms  {1e3 * steered:8.2f} ms  {steered / plain:.2f}")
    for measure, of_shapes in ratios.items():
        print(f"geometric mean, {measure}: {statistics.geometric_mean(of_shapes):.2f}")


if __name__ == "__main__":
    main()
