"""What an intervention costs beside the plain layer, and many as one batch beside as many calls of `predict`.

    python benchmarks/steering.py [--shapes 32,100,16,64 ...] [--repeats 15] [--only layer|ablations]

Writes benchmarks/steering.json and .md; what is not measured stays. About 5 minutes, with nothing beside it.

The layer: an intervention on every gate and state beside the plain layer, both with gates returned, in turn in one run.
Shapes and cases are those of bench_layer.py. The interventions, (1, time, units) numbers, are in the layer that holds
them in a steered model. (As arguments of a `tf.function` twelve tensors cost what they cost any function: measured
beside.) Measures: forward, and training step (loss on the output; gradients of the weights). Each time is a median over
repeats, in each of which both run once; the figure is the geometric mean of the ratios. At most 1.15 is the aim.

Ablations: c and h of one unit set to 0, each of 256 units alone, on 64 sequences of 100 steps and 16 features: all of
them by `run_each`, with all that it makes and compiles, beside a `predict` of the steered model for each, which is made
and compiled before. At most a third is the aim.
"""

import argparse
import functools
import json
import statistics
import time
from pathlib import Path

import numpy as np
from bench_layer import PAUSE, SHAPES, Case

GATES = "ifgoch"


def calls(case):
    """{measure: (function of the plain layer, function of the steered one)}, each of a place among the case's x."""
    import tensorflow as tf

    from keras_lstm_gates import GatedLSTM
    from keras_lstm_gates.steering.holders import HeldInterventions

    layer = GatedLSTM(case.units, return_sequences=True, return_gates=True)
    xs = [tf.constant(x) for x in case.x]
    # A layer without a static number of steps is called as a model with time=None calls it.
    spec = tf.TensorSpec([case.batch, case.steps, case.features], tf.float32)
    mask = None if case.mask is None else tf.constant(case.mask)
    layer.build(case.x[0].shape)
    held = HeldInterventions("lstm", list(GATES), case.units, max(x.shape[1] for x in case.x), case.steps is None)
    rng = np.random.default_rng(0)
    for gate in GATES:
        for variable, (low, high) in zip(held.variables_of(gate), SPAN, strict=True):
            variable.assign(rng.uniform(low, high, variable.shape))
    weights = [variable.value for variable in layer.trainable_variables]

    def output(x, steered, training):
        return layer(x, mask=mask, training=training, **({"interventions": held(x)} if steered else {}))

    def gradient(x, steered):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(output(x, steered, True)["output"] ** 2)
        return tape.gradient(loss, weights)

    def both(function):
        graphs = [
            tf.function(functools.partial(function, steered=one), input_signature=[spec]) for one in (False, True)
        ]
        return tuple(lambda at, graph=graph: graph(xs[at]) for graph in graphs)

    return {"forward": both(functools.partial(output, training=False)), "train": both(gradient)}


TRIED = """Tried and given up: what acts on i, f, g and o joined before the loop to one multiplication and one sum over
all four, in place of four on their quarters. Both versions in turn, three of the shapes, forward: 1.10 and 1.17 as it
is, 1.26 and 1.33 joined."""

SPAN = ((0.9, 1.0), (-0.05, 0.05))
"""Of scales and shifts: close to nothing done, so that both compute on numbers of one size."""


def arguments_alone(calls=500):
    """Seconds a call of a `tf.function` that adds 1 to a number, without and with twelve more tensors."""
    import tensorflow as tf

    spec = tf.TensorSpec([1, 100, 64], tf.float32)
    tensors = {gate: [tf.zeros(spec.shape)] * 2 for gate in GATES}
    function = functools.partial(tf.function, lambda x, more=None: x + 1)
    alone = function(input_signature=[spec])
    beside = function(input_signature=[spec, {gate: [spec] * 2 for gate in GATES}])
    x = tensors["i"][0]
    both = (lambda _: alone(x), lambda _: beside(x, tensors))
    return [[seconds(call, calls) / calls for call in both] for _ in range(2)][1]


def seconds(call, count):
    started = time.perf_counter()
    for at in range(count):
        call(at)
    return time.perf_counter() - started


def layer(shapes, repeats):
    """[{"shape", "measure", "plain", "steered"}], seconds."""
    rows = []
    for shape in shapes:
        case = Case(shape)
        for measure, both in calls(case).items():
            for call in both:
                seconds(call, len(case.x))
            times = ([], [])
            for _ in range(repeats):
                for of_one, call in zip(times, both, strict=True):
                    time.sleep(PAUSE)
                    of_one.append(seconds(call, len(case.x)))
            plain, steered = (statistics.median(of_one) for of_one in times)
            rows.append({"shape": shape, "measure": measure, "plain": plain, "steered": steered})
            print(f"{shape:>22} {measure:>8}  {1e3 * plain:8.2f} ms  {1e3 * steered:8.2f} ms  {steered / plain:.2f}")
    for measure in MEASURES:
        print(f"geometric mean, {measure}: {geometric_mean(rows, measure):.2f}")
    return rows


def geometric_mean(rows, measure):
    return statistics.geometric_mean(row["steered"] / row["plain"] for row in rows if row["measure"] == measure)


def ablations(units=256, sequences=64, steps=100, features=16, turns=3):
    """{"separate", "together": seconds, a number a turn; "difference": the largest of any two answers}."""
    import keras

    from keras_lstm_gates.steering import Set, run_each, steer

    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(sequences, steps, features)).astype("float32")
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.LSTM(units, name="lstm")(inputs)))
    without = [{f"lstm/{state}": Set(0.0, units=[unit]) for state in "ch"} for unit in range(units)]
    steered = steer(model, dict.fromkeys(without[0], ()), return_gates=False)

    def separate():
        answers = []
        for one in without:
            for key, intervention in one.items():
                steered.interventions[key] = intervention
            answers.append(steered.predict(x, batch_size=sequences, verbose=0))
        return np.stack(answers)

    steered.predict(x, batch_size=sequences, verbose=0)
    figures = {"units": units, "sequences": sequences, "steps": steps, "separate": [], "together": []}
    for _ in range(turns):
        answers = []
        for name, way in (("separate", separate), ("together", lambda: run_each(model, x, without))):
            started = time.perf_counter()
            answers.append(way())
            figures[name].append(time.perf_counter() - started)
            print(f"{units} ablations, {name}: {figures[name][-1]:.2f} s", flush=True)
    figures["difference"] = float(abs(answers[0] - answers[1]).max())
    return figures


MEASURES = {"forward": "forward", "train": "training step"}
HERE = Path(__file__).with_suffix("")


def write(figures):
    """The tables."""
    lines = ["# What steering costs", "", "`python benchmarks/steering.py` wrote this.", ""]
    if "layer" in figures:
        rows = figures["layer"]
        lines += ["## An intervention on every gate and state beside the plain layer, gates returned", ""]
        lines += [
            "| batch, time, features, units | measure | plain, ms | steered, ms | steered / plain |",
            "|---|---|---|---|---|",
        ]
        for row in rows:
            times = f"{1e3 * row['plain']:.2f} | {1e3 * row['steered']:.2f} | {row['steered'] / row['plain']:.2f}"
            lines.append(f"| {row['shape']} | {MEASURES[row['measure']]} | {times} |")
        means = [f"{text} {geometric_mean(rows, measure):.2f}" for measure, text in MEASURES.items()]
        lines += ["", f"Geometric means: {', '.join(means)}. The aim is at most 1.15.", ""]
        alone, beside = (1e3 * one for one in figures["arguments"])
        lines += [
            "The interventions are in the layer that holds them in a steered model. As arguments twelve tensors take "
            f"{beside - alone:.2f} ms of",
            f"Python in any `tf.function`: one that does nothing with them takes {beside:.2f} ms, {alone:.2f} without.",
            "",
            TRIED,
            "",
        ]
    if "ablations" in figures:
        one = figures["ablations"]
        separate, together = (statistics.median(one[name]) for name in ("separate", "together"))
        lines += [
            f"## {one['units']} single-unit ablations, {one['sequences']} sequences of {one['steps']} steps",
            "",
            f"| | seconds, median of {len(one['separate'])} |",
            "|---|---|",
            f"| as many calls of `predict` | {separate:.2f} |",
            f"| `run_each`, with all that it compiles | {together:.2f} |",
            "",
            f"That is {together / separate:.2f} of the time; the aim is at most 0.33. The answers differ by "
            f"{one['difference']:.1e} at most.",
            "",
        ]
    HERE.with_suffix(".md").write_text("\n".join(lines))


def main():
    """Measure what is asked for, keep the rest of the figures as they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=SHAPES)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", choices=("layer", "ablations"))
    arguments = parser.parse_args()
    kept = HERE.with_suffix(".json")
    figures = json.loads(kept.read_text()) if kept.exists() else {}
    if arguments.only != "ablations":
        figures["layer"] = layer(arguments.shapes, arguments.repeats)
        figures["arguments"] = arguments_alone()
    if arguments.only != "layer":
        figures["ablations"] = ablations()
    kept.write_text(json.dumps(figures, indent=1) + "\n")
    write(figures)


if __name__ == "__main__":
    main()
