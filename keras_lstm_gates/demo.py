"""The main job end to end: data, training, gates, picture, files for servers and devices, and their check."""

import dataclasses
from pathlib import Path

import numpy as np
from rich.console import Console

from keras_lstm_gates import datasets, exporting, plots, tracing, training
from keras_lstm_gates._support.files import filled_when_whole
from keras_lstm_gates._support.terminal import EpochProgress, counted, differences_table, files_table, print_next
from keras_lstm_gates.recipes import Recipe

# One direction and its last state: the simplest LSTM, which also streams. The noise is from 5-fold cross-validation on
# the training utterances.
RECIPE = Recipe(dataset="japanese_vowels", noise=0.3)


def demo(folder: str | Path, seed: int = 0, console: Console | None = None) -> training.Run:
    """Run the main job on JapaneseVowels and write all its results to a new run folder, or none.

    Args:
        folder: str or `Path` of a folder that does not exist yet, or is empty.
        seed: int >= 0.
        console: `rich.console.Console`, where progress and results are printed.

    Returns:
        `keras_lstm_gates.training.Run`.

    Raises:
        FileExistsError: the folder is not empty.
        FileNotFoundError: the package that ships the data is not installed.
        ArithmeticError: an exported file differs from the model by more than 1e-4.
    """
    console = console or Console()
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"expected a new or empty folder; {folder} is taken")
    with filled_when_whole(folder) as temporary:
        run = _demo(temporary, dataclasses.replace(RECIPE, seed=seed), console)

    console.rule("4  What is there now")
    console.print(files_table(folder))
    print_next(
        console,
        f"keras-lstm-gates run {folder}/model.tflite {folder}/utterance.npy",
        f"keras-lstm-gates run {folder}/model.tflite {folder}/utterance.npy --signature gates --out gates.npz",
        f"keras-lstm-gates report {folder}",
        f"keras-lstm-gates trace {folder}/model.keras {folder}/utterance.npy",
        "keras-lstm-gates --help",
    )
    return run._replace(folder=folder)


def _demo(folder, recipe, console):
    console.rule("1  Train: which of nine speakers says these two vowels?")
    with EpochProgress(console) as progress:
        run = training.fit(recipe, folder, callbacks=[progress])
    console.print(
        f"test accuracy [bold]{run.metrics['test_accuracy']:.3f}[/], {run.metrics['parameters']:,} parameters, "
        f"trained in {run.metrics['seconds']:.0f} s"
    )

    console.rule("2  Look inside: every gate at every step")
    test, info = datasets.batches(recipe.dataset, "test", 32)
    with counted(console, "utterances traced", info.splits["test"].num_examples) as progress:
        columns = [*datasets.builders.JapaneseVowels.UNITS]
        tree = tracing.trace(run.model, test, progress=progress, columns=columns)
    tracing.save(tree, folder / "gates.zarr")
    speakers = info.features["speaker"].names
    sample = _longest_recognised(tree)
    speaker, probability = tree["target"].values[sample], tree["probabilities"].values[sample].max()
    figure = plots.gates(
        tree,
        sample=sample,
        title=f"One utterance through an LSTM of {recipe.units} units: speaker {speakers[speaker]}, "
        f"recognised with probability {probability:.2f}",
    )
    figure.savefig(folder / "gates.png", dpi=130)
    real = tree["lstm"]["mask"].values[sample]
    np.save(folder / "utterance.npy", tree["input"].values[sample][real])
    console.print(f"gates of {tree['lstm'].sizes['sample']} utterances, and a picture of utterance {sample}")

    console.rule("3  Export: SavedModel for servers, TFLite for devices")
    some = tree["input"].values[:32]
    with console.status("converting, then running each file against the Keras model"):
        exported = exporting.export(run.model, folder, some)
    console.print(differences_table(exported, len(some)))
    return run


def _longest_recognised(tree):
    right = tree["probabilities"].values.argmax(axis=-1) == tree["target"].values
    return int(np.argmax(tree["lstm"]["mask"].values.sum(axis=1) * right))
