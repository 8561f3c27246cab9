"""Build an entry of the zoo: train its seeds, measure, export, and write its card."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import statistics as numbers
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from keras_lstm_gates import baselines, datasets, exporting, models, plots, tracing, training
from keras_lstm_gates._support import sums
from keras_lstm_gates._support.files import read_json, replaced_when_whole, write_json
from keras_lstm_gates.presets.files import SUMS, load
from keras_lstm_gates.presets.registry import home, preset
from keras_lstm_gates.tracing import gate_statistics
from keras_lstm_gates.zoo.cards import page

if TYPE_CHECKING:
    from collections.abc import Callable

    from keras_lstm_gates._support.annotations import StrPath


TRACED = 64
"""The number of test sequences for the gate statistics and the comparison of the exported files."""
DPI = 150
"""Of gates.png."""


def build(name: str, runs: StrPath = "runs/zoo", tell: Callable[[str], object] = print) -> Path:
    """Make the files of a preset: a run per seed, then the model of the first seed with its card.

    Finished runs are reused and interrupted ones resume, so this can be called again.

    Args:
        name: str, of `presets()`.
        runs: str or `Path`, the folder for the run folders <name>/seed-<n>.
        tell: function of a line of text.

    Returns:
        `Path` of the folder, written as a whole: model.keras, saved_model/, model.tflite, card.json, README.md,
        gates.png and SHA256SUMS.
    """
    entry = preset(name)
    figures = {}
    for seed in range(entry.recipe.seed, entry.recipe.seed + entry.seeds):
        folder = Path(runs) / name / f"seed-{seed}"
        run = training.fit(dataclasses.replace(entry.recipe, seed=seed), folder, resume=True)
        figures[seed] = run.metrics[f"test_{entry.metric}"]
        tell(f"{name}, seed {seed}: {entry.metric} {figures[seed]:.4f}")
        if seed == entry.recipe.seed:
            shipped = run
    data = datasets.load(entry.recipe)
    with replaced_when_whole(home(name)) as temporary:
        temporary.mkdir()
        shutil.copy(shipped.folder / "model.keras", temporary / "model.keras")
        some = _some(data.test)
        exported = exporting.export(shipped.model, temporary, some)
        tree = _drawn(entry, shipped.model, data.names, some, temporary)
        card = {
            "name": name,
            "title": entry.title,
            "recipe": entry.recipe.to_dict(),
            "data": entry.data,
            "licence": entry.licence,
            "limits": entry.limits,
            "aim": entry.aim,
            "names": read_json(shipped.folder / "names.json"),
            "parameters": shipped.model.count_params(),
            "metric": {
                "name": entry.metric,
                "definition": entry.definition,
                "higher_is_better": entry.higher_is_better,
            },
            "quality": {
                "shipped": figures[entry.recipe.seed],
                "seeds": {str(seed): figure for seed, figure in figures.items()},
                "mean": numbers.mean(figures.values()),
                "sd": numbers.stdev(figures.values()),
            },
            "baselines": baselines.measure(entry.recipe, data),
            "published": {key: {"value": value, "source": source} for key, (value, source) in entry.published.items()},
            "gates": {path: summary(gate_statistics.of_layer(node)) for path, node in tracing.nodes(tree).items()},
            "differences": exported.differences,
            "environment": training.environment(),
            "sample": _written(shipped.model, data.names["vocabulary"]) if entry.recipe.task == "language" else None,
            "command": f"keras-lstm-gates zoo build {name}",
        }
        write_json(temporary / "card.json", card)
        _without_its_readme(temporary / "manifest.json")
        _finish(temporary, card)
    return home(name)


def redraw(name: str) -> Path:
    """Draw gates.png of a preset again, from its shipped model; nothing is trained, the other figures stay.

    Args:
        name: str, of `presets()`.

    Returns:
        `Path` of the folder, written as a whole: README.md and SHA256SUMS tell the new file.
    """
    entry = preset(name)
    data = datasets.load(entry.recipe)
    model = load(name, gates=False)
    # The copy is made beside the folder and takes its place.
    with replaced_when_whole(home(name)) as temporary:
        shutil.copytree(home(name), temporary)
        _drawn(entry, model, data.names, _some(data.test), temporary)
        _finish(temporary, read_json(temporary / "card.json"))
    return home(name)


def _drawn(entry, model, names, sequences, folder):
    """Draw the first of some sequences in gates.png; the trace of all."""
    columns = _columns(names)
    tree = tracing.trace(model, sequences, vocabulary=names.get("vocabulary"), columns=columns, progress=False)
    png = io.BytesIO()
    plots.gates(tree, title=entry.title).savefig(png, dpi=DPI)
    # A palette: a third of the size, and no colour differs by more than a reader would see.
    with Image.open(png) as picture:
        colours = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, 1, dither=Image.Dither.NONE)
    colours.save(folder / "gates.png", optimize=True)
    return tree


def _columns(names):
    """What the features are called, with their units: "temperature, °C"; None where the data do not tell."""
    units = names.get("units", {})
    columns = names.get("features", [*units])
    return [f"{name}, {units[name]}" if units.get(name, "1") != "1" else name for name in columns] or None


def _finish(folder, card):
    """Write the card's page, which takes the place of the export's, and the sums of all files."""
    (folder / "README.md").unlink(missing_ok=True)
    sizes = {path: (folder / path).stat().st_size for path in sums.of_folder(folder, but=SUMS)}
    (folder / "README.md").write_text(page(card, sizes))
    (folder / SUMS).write_text(
        "".join(f"{digest}  {path}\n" for path, digest in sums.of_folder(folder, but=SUMS).items())
    )


def _without_its_readme(path):
    """The card takes the place of the README that the manifest tells the sum of; SHA256SUMS tells all sums."""
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    write_json(path, manifest)


def _some(test):
    """The first test sequences, padded to one length."""
    return np.asarray(next(iter(test.unbatch().take(TRACED).padded_batch(TRACED)))[0])


def _written(model, entries):
    """A text that a language model writes, starting at a new line."""
    numbers = models.generate(model, [entries.index("\n")], 400, temperature=0.7, seed=0)
    return "".join(entries[number] for number in numbers)


def summary(numbers):
    """The statistics of one layer as plain data for the card; an infinite effective memory is None."""
    memory = float(numbers["effective_memory"])
    gates = {
        gate: {"mean": float(numbers["mean"].sel(gate=gate).mean())}
        | {name: float(numbers[name].sel(saturating=gate).mean()) for name in ("left_saturated", "right_saturated")}
        for gate in numbers["saturating"].values.tolist()
    }
    return {"effective_memory": memory if np.isfinite(memory) else None, **gates}
