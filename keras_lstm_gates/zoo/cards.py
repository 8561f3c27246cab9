"""The README of a zoo entry, written from its card."""

from keras_lstm_gates.recipes import Recipe
from keras_lstm_gates.training import residual_fit


def page(card, files):
    """The card as a page of Markdown.

    Args:
        card: dict, the content of card.json.
        files: {path: size in bytes} of the folder's files.

    Returns:
        str.
    """
    sizes = [(f"`{path}`", f"{size / 1024:,.0f} KiB") for path, size in files.items()]
    used = (f"{key} {value}" for key, value in card["environment"].items() if key != "platform")
    lines = [
        f"# {card['name']}",
        "",
        card["title"],
        "",
        "![Every gate at every step of one test sequence](gates.png)",
        "",
        f"{card['parameters']:,} parameters, {sum(files.values()) / 1024:,.0f} KiB in all files.",
        "",
        *_quality(card),
        *([] if card["sample"] is None else _sample(card["sample"])),
        *_gates(card["gates"]),
        "## Data and licence",
        "",
        f"{card['data']}. {card['licence']}. The model: Apache-2.0.",
        "",
        "## Limits",
        "",
        card["limits"],
        "",
        *_use(card),
        f"Made with {', '.join(used)}.",
        "",
        *_table(("file", "size"), sizes),
        "",
    ]
    return "\n".join(lines)


def _quality(card):
    quality, metric = card["quality"], card["metric"]
    name, mean, spread = metric["name"], f"{quality['mean']:.4g}", f"{quality['sd']:.2g}"
    rows = [
        (f"**this model's recipe, {len(quality['seeds'])} seeds**", f"**{mean} ± {spread}**", "measured here"),
        ("these files (the first seed)", f"{quality['shipped']:.4g}", "measured here"),
        *((key, f"{value:.4g}", "baseline, measured here") for key, value in card["baselines"].items()),
        *((key, f"{one['value']:.4g}", one["source"]) for key, one in card["published"].items()),
    ]
    better = "higher" if metric["higher_is_better"] else "lower"
    return [
        "## How good it is",
        "",
        f"{name}: {metric['definition']}; {better} is better. The spread is the standard deviation over the seeds.",
        "",
        *_table(("model", name, "source"), rows),
        "",
        *([_aimed(card), ""] if card["aim"] is not None else []),
        *_learned(card),
        *_beaten(card),
    ]


def _learned(card):
    """What a model that learns what a baseline leaves has learned, and how much of it is the LSTM's."""
    recipe = Recipe.from_dict(card["recipe"])
    if not residual_fit.is_residual(recipe):
        return []
    (line,) = residual_fit.told(recipe.replaced({"quantiles": []}), card["names"].get("finish"), {})
    return [f"These files {line.replace('learned:', 'learned', 1)}.", ""]


def _beaten(card):
    sign = 1 if card["metric"]["higher_is_better"] else -1
    mean = card["quality"]["mean"]
    better = [f"{name} ({value:.4g})" for name, value in card["baselines"].items() if sign * value > sign * mean]
    lines = [f"**Better than this model: {', '.join(better)}.**", ""] if better else []
    walk = card["baselines"].get("persistence")
    if walk is not None:
        said = "does better than" if mean < walk else "does not beat"
        lines += [f"It {said} the random walk, which is persistence: {mean:.4g} against {walk:.4g}.", ""]
    return lines


def _gates(layers):
    rows = [
        (
            f"`{layer}`",
            *(f"{one[gate]['mean']:.2f}" for gate in "ifo"),
            *(f"{one[gate]['left_saturated']:.0%} / {one[gate]['right_saturated']:.0%}" for gate in "ifo"),
            "never forgets" if one["effective_memory"] is None else f"{one['effective_memory']:.1f} steps",
        )
        for layer, one in layers.items()
    ]
    head = ("layer", "mean i", "mean f", "mean o", "i shut / open", "f shut / open", "o shut / open", "memory")
    return [
        "## Its gates",
        "",
        "Over test sequences; shut / open: the share of steps with the gate below 0.1 / above 0.9.",
        "",
        *_table(head, rows),
        "",
    ]


def _use(card):
    recipe = ", ".join(f"{key} {value}" for key, value in card["recipe"].items() if value not in ({}, [], None))
    return [
        "## Use it, check it, reproduce it",
        "",
        "```python",
        "from keras_lstm_gates import zoo",
        f'model = zoo.load("{card["name"]}")  # a Keras model; its outputs: the answer and every gate, by name',
        "```",
        "",
        "```sh",
        f"keras-lstm-gates zoo evaluate {card['name']}   # is the figure above true here?",
        f"{card['command']}",
        "```",
        "",
        f"Recipe: {recipe}.",
        "",
    ]


def _aimed(card):
    mean, aim = card["quality"]["mean"], card["aim"]
    reached = mean >= aim if card["metric"]["higher_is_better"] else mean <= aim
    return f"Aimed at a mean of {aim:g} or {'more' if card['metric']['higher_is_better'] else 'less'}: " + (
        "reached." if reached else "**not reached**."
    )


def _sample(text):
    return [
        "## What it writes",
        "",
        "At temperature 0.7, one sample, not hand-picked:",
        "",
        "```text",
        text.strip("\n"),
        "```",
        "",
    ]


def _table(head, rows):
    return [
        "| " + " | ".join(head) + " |",
        "|" + " --- |" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
