"""Study 6, steering: which units carry what is remembered, and is it forgotten where they alone are made to forget?

    python examples/steering_study.py            adding problem, five seeds, and the shipped character model: minutes
    python examples/steering_study.py --quick    two seeds, a few steps

Found by patching: two inputs differ in one thing. The corrupted one is run with the cell state of one unit, at one
step, taken from the clean one; the part of the clean answer that comes back is what this unit carried there. The
carriers are the fewest units, in that order, which together bring 0.9 of it back.

Shown by steering, on other pairs: the forget gates of the carriers are closed at that one step, and of as many units
drawn at random among the others, 20 times. What is left is the part of the difference between the two answers that is
still there: 1 = nothing was forgotten, 0 = all of it.

Adding problem: the pairs differ in the first marked value, and the gates close after it and before the second one,
which must not be forgotten with it. Character model: the pairs are text with and without an open bracket, a question
word, or the end of the line before; the model is the shipped one, so there is one of it.
"""

import json
import re

import adding_problem
import keras
import numpy as np
from matplotlib.figure import Figure
from studies import COLOURS, arguments, plain_axes, save, train

from keras_lstm_gates import trace, zoo
from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates.datasets import language
from keras_lstm_gates.initializers import ChronoBias
from keras_lstm_gates.layers import GatedLSTM
from keras_lstm_gates.plots import STATE_COLOURS
from keras_lstm_gates.steering import Replace, Set, patch, run_each

BATCH, ENOUGH, DRAWS = 50, 0.9, 20
BEFORE, AFTER = 60, 25
"""Characters before the end of a line, and after it up to the answer."""
QUESTIONS = {
    "What": "That",
    "Where": "There",
    "How": "Now",
    "When": "Then",
    "Who": "The",
    "Why": "And",
    "Which": "These",
}


class Memory:
    """One LSTM of a model, at one step, and a number of the model's answer.

    Args:
        model: `keras.Model`.
        path: str, of the LSTM.
        step: int, at which its c is patched and its f closed.
        measure: function of the model's output to a number a sample.
    """

    def __init__(self, model, path, step, measure):
        self.model, self.path, self.step, self.measure = model, path, step, measure
        self.units = model.get_layer(path).units

    def restored(self, clean, corrupted, groups):
        """The part of the clean answer that the c of each group of units brings back, as `patch` counts it."""
        c = trace(self.model, clean, progress=False)[self.path]["c"].values
        whole = run_each(self.model, clean, [{}], self.measure)[0]
        patched = [{f"{self.path}/c": Replace(c, units=group, steps=[self.step])} for group in groups]
        before, *after = run_each(self.model, corrupted, [{}, *patched], self.measure)
        return (np.array(after) - before) @ (whole - before) / np.sum((whole - before) ** 2)

    def carriers(self, clean, corrupted):
        """(the carriers, what each unit restores alone, [number of units, restored] of the first ones together)."""
        alone = self.restored(clean, corrupted, [[unit] for unit in range(self.units)])
        order = np.argsort(-alone)
        sizes = [size for size in range(1, self.units + 1) if size <= 16 or size % 8 == 0]
        together = self.restored(clean, corrupted, [order[:size].tolist() for size in sizes])
        enough = next((size for size, part in zip(sizes, together, strict=True) if part >= ENOUGH), self.units)
        curve = [[size, round(float(part), 4)] for size, part in zip(sizes, together, strict=True)]
        return order[:enough].tolist(), alone, curve

    def left(self, clean, corrupted, groups):
        """What is left of the difference between the answers where each group of units forgets."""
        closed = [{}, *({f"{self.path}/f": Set(0.0, units=group, steps=[self.step])} for group in groups)]
        runs = [run_each(self.model, one, closed, self.measure) for one in (clean, corrupted)]
        intact, *after = runs[0] - runs[1]
        return np.array(after) @ intact / np.sum(intact**2)

    def study(self, seed, found_on, tested_on):
        """Plain data: the carriers, and {name of pairs: what is left of them}."""
        units, alone, curve = self.carriers(*found_on)
        rng = np.random.default_rng(seed)
        others = np.setdiff1d(np.arange(self.units), units)
        count = min(len(units), len(others))
        groups = [units, *(rng.choice(others, count, replace=False).tolist() for _ in range(DRAWS))]
        parts = {name: self.left(*pairs, groups).round(4).tolist() for name, pairs in tested_on.items()}
        return {
            "units": self.units,
            "carriers": units,
            "random": count,
            "alone": alone.round(4).tolist(),
            "together": curve,
            "left": {name: {"carriers": of_carriers, "random": rest} for name, (of_carriers, *rest) in parts.items()},
        }


def value_pairs(seed, count, length, which, places=None):
    """Sequences of the adding problem that differ in the first (0) or second (1) marked value, and where it closes."""
    rng = np.random.default_rng(seed)
    step, last = length // 4, length // 2 - 2
    marks = np.stack([rng.integers(1, step - 1, count), rng.integers(step + 1, last + 1, count)], axis=1)
    marks = marks if places is None else np.tile(places, (count, 1))
    clean = np.zeros((count, length, 2), "float32")
    clean[..., 0] = rng.uniform(-1, 1, (count, length))
    clean[:, [0, -1], 1] = -1
    for mark in marks.T:
        clean[np.arange(count), mark, 1] = 1
    corrupted = clean.copy()
    corrupted[np.arange(count), marks[:, which], 0] = rng.uniform(-1, 1, count)
    return clean, corrupted


def adding(seed, folder, *, length, units, pairs, **training):
    """One seed: train, find the carriers of the first value, let them forget. None where the training is not done."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((length, 2))
    memory = GatedLSTM(units, name="memory", bias_initializer=ChronoBias(length, seed=seed), unit_forget_bias=False)
    model = keras.Model(inputs, keras.layers.Dense(1)(memory(inputs)))

    def measure(model, step, recent):
        errors = np.concatenate([y - predictions for y, predictions in recent]) if recent else np.array([np.nan])
        return {"squared_error": float(np.mean(errors**2))}

    state = train(
        f"adding-{seed}",
        model,
        lambda step: adding_problem.sequences([seed, length, step], BATCH, length),
        lambda y, predictions: keras.ops.mean((y - predictions) ** 2),
        measure=measure,
        folder=folder,
        rate=5e-3,
        **training,
    )
    if state["step"] < training["steps"]:
        return None
    x, y = adding_problem.sequences([9, seed, length], 1000, length)
    found = Memory(model, "memory", length // 4, lambda outputs: outputs[:, 0]).study(
        seed,
        value_pairs([seed, 1], pairs, length, 0),
        {
            "first value": value_pairs([seed, 2], pairs, length, 0),
            "second value": value_pairs([seed, 3], pairs, length, 1),
        },
    )
    error = float(np.mean((model.predict(x, verbose=0) - y) ** 2))
    over_time = None
    if seed == 0:
        places = (length // 8, length * 3 // 8)
        clean, corrupted = value_pairs([seed, 4], pairs // 2, length, 0, places)
        tree = patch(model, clean, corrupted, gates="c", progress=False)
        over_time = {"places": places, "restored": tree["memory"]["restored"].sel(gate="c").values.round(3).tolist()}
    return {"seed": seed, "length": length, "squared_error": error, **found, "over_time": over_time}


def text_pairs(text, number, kind, count, rng):
    """(clean, corrupted, the character that tells) of ids (sample, time), each up to the answer."""
    if kind == "line":
        ends = [one.start() for one in re.finditer(rf"(?<=[a-z,;:.])\n(?=[A-Za-z][^\n]{{{AFTER + 4}}})", text)]
        ends = [(end, end + 1 + AFTER, " ") for end in ends if text[end + AFTER] in " ,"]
    elif kind == "bracket":
        ends = [(one.start(), one.end(), " ") for one in re.finditer(r"\[[^\[\]]{6,40}(?=\])", text)]
    else:
        words = "|".join(QUESTIONS)
        found = re.finditer(rf"\b({words})\b[^.?!;:]{{6,40}}(?=\?)", text)
        ends = [(one.start(), one.end(), QUESTIONS[one.group(1)]) for one in found]
    length = BEFORE + AFTER + 1
    ends = [one for one in ends if one[1] >= length]
    chosen = [ends[place] for place in rng.permutation(len(ends))[:count]]
    clean = [text[end - length : end] for _, end, _ in chosen]
    corrupted = [text[end - length : at] + other + text[at + len(other) : end] for at, end, other in chosen]
    ids = [np.array([[number.get(letter, 0) for letter in one] for one in rows]) for rows in (clean, corrupted)]
    return *ids, {"line": "\n", "bracket": "]", "question": "?"}[kind]


def odds_of(place):
    """Function of the probabilities of all steps to the logarithm of the odds of one character after the last."""

    def measure(outputs):
        probability = outputs[:, -1, place].astype("float64")
        return np.log(probability) - np.log1p(-probability)

    return measure


def characters(pairs, tested):
    """The shipped character model: what it holds of three things that are open, and who carries them."""
    recipe = zoo.preset("shakespeare_plays").recipe
    numbered, entries = language.numbered(recipe)
    texts = {part: "".join(entries[one] for one in numbered[part]) for part in ("train", "test")}
    number = {letter: place for place, letter in enumerate(entries)}
    model = zoo.load("shakespeare_plays", gates=False)
    found = {}
    # At which step the gates close: within the brackets, and half way through what is read of the line.
    for kind, step in {"bracket": BEFORE + AFTER - 3, "question": None, "line": BEFORE + AFTER // 2}.items():
        clean, corrupted, tells = text_pairs(texts["test"], number, kind, tested, np.random.default_rng(0))
        odds = odds_of(number[tells])
        change = odds(model.predict(clean, verbose=0)) - odds(model.predict(corrupted, verbose=0))
        found[kind] = {"pairs": len(change), "mean": change.mean(), "error": change.std() / len(change) ** 0.5}
        print(f"{kind}: log odds change by {change.mean():.2f} on average of {len(change)} pairs", flush=True)
        if step is not None:
            found_on = text_pairs(texts["train"], number, kind, pairs, np.random.default_rng(1))[:2]
            found[kind] |= Memory(model, "lstm", step, odds).study(0, found_on, {kind: (clean, corrupted)})
    return found


def kept(path, make):
    """What a file holds; where there is none, what is made and written to it, if it is not None."""
    if not path.exists():
        made = make()
        if made is None:
            return None
        with replaced_when_whole(path) as temporary:
            temporary.write_text(json.dumps(made))
    return json.loads(path.read_text())


def draw(results):
    """Above the adding problem, below the character model: who carries it, and what is left where it forgets."""
    seeds, play = results["adding"], results["characters"]
    carried = {kind: one for kind, one in play.items() if "carriers" in one}
    figure = Figure(figsize=(13, 7), layout="constrained")
    rows = figure.subplots(2, 3)
    over_time = seeds[0]["over_time"]
    image = rows[0, 0].imshow(
        np.array(over_time["restored"]).T, aspect="auto", origin="lower", cmap=STATE_COLOURS, vmin=-1, vmax=1,
        interpolation="nearest",
    )  # fmt: skip
    for place in over_time["places"]:
        rows[0, 0].axvline(place, color="black", linestyle=":", linewidth=1)
    figure.colorbar(image, ax=rows[0, 0], label="restored")
    plain_axes(
        rows[0, 0], "Adding problem, seed 0: c of one unit at one step\n(dotted: the marked values)", "step", "unit"
    )
    rows[0, 0].grid(False)
    draw_together(rows[0, 1], {f"seed {one['seed']}": one for one in seeds})
    draw_together(rows[1, 1], carried)
    rows[1, 1].set_xscale("log", base=2)
    draw_left(rows[0, 2], {name: [one["left"][name] for one in seeds] for name in seeds[0]["left"]})
    draw_left(rows[1, 2], {kind: [one["left"][kind]] for kind, one in carried.items()})
    means, errors = ([one[name] for one in play.values()] for name in ("mean", "error"))
    rows[1, 0].bar(list(play), means, yerr=2 * np.array(errors), color=COLOURS[0], width=0.5, ecolor="0.4")
    rows[1, 0].axhline(0, color="0.5", linewidth=0.8)
    plain_axes(rows[1, 0], "Shakespeare: what is open changes what closes it", "", "log odds, clean - corrupted")
    return figure


def draw_together(axes, runs):
    """What the first units restore together, a line a run."""
    for (name, one), colour in zip(runs.items(), (*COLOURS, "#777777"), strict=False):
        axes.plot(*np.transpose(one["together"]), marker=".", color=colour, label=name)
    axes.axhline(ENOUGH, color="0.5", linewidth=0.8)
    axes.set_ylim(-0.05, 1.45)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    plain_axes(axes, "Units patched together, the best first", "units", "restored of the clean answer")


def draw_left(axes, left):
    """Of each name, a point a run: the carriers, and the mean and range of the random draws."""
    for place, runs in enumerate(left.values()):
        for at, one in enumerate(runs):
            x, random, first = place + (at - (len(runs) - 1) / 2) * 0.12, np.array(one["random"]), place == at == 0
            axes.vlines(x, random.min(), random.max(), color="0.6", linewidth=2)
            axes.plot(x, random.mean(), "o", color="0.45", label="as many others, at random" if first else None)
            axes.plot(x, one["carriers"], "D", color=COLOURS[1], label="the carriers" if first else None)
    axes.set_xticks(range(len(left)), list(left))
    axes.set(xlim=(-0.5, len(left) - 0.5), ylim=(-0.45, 1.45))
    for height in (0, 1):
        axes.axhline(height, color="0.7", linewidth=0.8)
    axes.legend(frameon=False, fontsize=8, loc="center")
    plain_axes(axes, "Forget gates closed at one step", "", "left of the difference")


def table(results):
    """The figures, in Markdown."""
    lines = ["| | units | carriers | left where they forget | where as many others do |", "|---|---|---|---|---|"]
    for name in ("first value", "second value"):
        carriers = [one["left"][name]["carriers"] for one in results["adding"]]
        random = [np.mean(one["left"][name]["random"]) for one in results["adding"]]
        counts = [len(one["carriers"]) for one in results["adding"]]
        shown = [f"{np.mean(one):.2f} ± {np.std(one, ddof=1):.2f}" for one in (carriers, random)]
        units, several = results["adding"][0]["units"], f"{min(counts)} to {max(counts)}"
        lines.append(f"| adding, {name} | {units} | {several} | {' | '.join(shown)} |")
    for kind, one in results["characters"].items():
        if "carriers" in one:
            left = one["left"][kind]
            random = f"{np.mean(left['random']):.2f} ± {np.std(left['random'], ddof=1):.2f}"
            counts = f"{one['units']} | {len(one['carriers'])}"
            lines.append(f"| characters, {kind} | {counts} | {left['carriers']:.2f} | {random} |")
    return "\n".join(lines)


def main():
    """Run the study."""
    given = arguments("steering_study", __doc__)
    if given.quick:
        seeds, pairs, tested = 2, 8, 16
        options = {"length": 20, "units": 8, "steps": 40, "every": 20}
    else:
        seeds, pairs, tested = 5, 64, 256
        options = {"length": 40, "units": 16, "steps": 6000, "every": 500}
    results = {"adding": []}
    for seed in range(seeds):
        run = kept(
            given.out / f"found-{seed}.json",
            lambda seed=seed: adding(seed, given.out, pairs=4 * pairs, minutes=given.minutes, **options),
        )
        if run is None:
            continue
        results["adding"].append(run)
        print(f"seed {seed}: squared error {run['squared_error']:.2g}, carriers {run['carriers']}", flush=True)
    if not results["adding"]:
        print("no seed is trained to its end yet; the same command goes on")
        return
    results["characters"] = kept(given.out / "characters.json", lambda: characters(pairs, tested))
    print(table(results))
    save(given.out, results, draw(results))


if __name__ == "__main__":
    main()
