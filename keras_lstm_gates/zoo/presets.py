"""Presets: what the zoo holds, as plain data; this package's own, and those that other packages register."""

import dataclasses
import importlib.metadata
from pathlib import Path

from keras_lstm_gates.recipes import RECIPES, Recipe

ENTRY_POINTS = "keras_lstm_gates.presets"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """All that decides one entry of the zoo.

    Attributes:
        title: str, one line: what the model does.
        recipe: `Recipe`, of every seed; the files are those of its own seed.
        data, licence: str, where the data come from and under which terms.
        metric: str, a key of what `training.evaluate` returns, computed on the test part.
        definition: str, the metric in words.
        higher_is_better: bool.
        limits: str, what the model is not for.
        aim: float or None, the figure that was aimed at; the card says whether the mean over the seeds reaches it.
        published: {name: (value, source)}, figures of others that were not measured here.
        seeds: int > 0, how many seeds, from the recipe's own, the card's mean and standard deviation are over.
        folder: str, `Path` or None, the folder that holds a folder of each preset; None: this package's own.

    Example, a preset of your own package, in its setup.cfg and its module `my_package.zoo`:

        [options.entry_points]
        keras_lstm_gates.presets =
            my_model = my_package.zoo:MY_MODEL
    """

    title: str
    recipe: Recipe
    data: str
    licence: str
    metric: str
    definition: str
    higher_is_better: bool
    limits: str
    aim: float | None = None
    published: dict = dataclasses.field(default_factory=dict)
    seeds: int = 5
    folder: str | Path | None = None


def shipped_folder():
    """The folder saved_models: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "saved_models"
    return inside if inside.is_dir() else package.parent / "saved_models"


def presets():
    """Every preset by name: this package's own, then those of the entry points "keras_lstm_gates.presets".

    Raises:
        ValueError: an entry point takes a name that is taken, or is no `Preset`.
    """
    known = dict(PRESETS)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if entry.name in known:
            raise ValueError(f"expected presets with names that differ; received {entry.name!r} twice")
        known[entry.name] = entry.load()
        if not isinstance(known[entry.name], Preset):
            raise ValueError(f"expected {entry.value} to be a Preset; received a {type(known[entry.name]).__name__}")
    return known


def preset(name):
    """One preset.

    Raises:
        ValueError: "expected one of the presets [...]; received 'x'".
    """
    known = presets()
    if name not in known:
        raise ValueError(f"expected one of the presets {sorted(known)}; received {name!r}")
    return known[name]


def home(name):
    """The folder of a preset's files."""
    return Path(preset(name).folder or shipped_folder()) / name


PRESETS: dict[str, Preset] = {
    "japanese_vowels": Preset(
        title="Which of nine speakers says these two vowels?",
        recipe=RECIPES["japanese_vowels"],
        data="JapaneseVowels: Kudo, Toyama & Shimbo 1999, UCI Machine Learning Repository, as shipped by sktime",
        licence="CC BY 4.0 (data), BSD-3-Clause (sktime's copy)",
        metric="accuracy",
        definition="share of the 370 test utterances whose speaker has the highest probability",
        higher_is_better=True,
        limits="Nine male speakers in one room; it knows no tenth, and gives each stranger one of the nine names.",
    ),
}
