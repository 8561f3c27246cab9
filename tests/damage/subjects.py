"""The readers, and files that they read: a row a reader."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from small import small_forecaster

from keras_lstm_gates import edge, exporting, forecasting, tracing, tuning, zoo
from keras_lstm_gates._support.array_files import read_npy, read_npz
from keras_lstm_gates.cli import arguments
from keras_lstm_gates.cli import tracing as commands
from keras_lstm_gates.datasets import tables
from keras_lstm_gates.layers import weights_files
from keras_lstm_gates.opening import from_torch
from keras_lstm_gates.opening.readers import load_model
from keras_lstm_gates.presets import registry
from keras_lstm_gates.recipes import Recipe, resolve
from keras_lstm_gates.reporting.interventions import intervention_sections
from keras_lstm_gates.steering import Set, ablate, steer
from keras_lstm_gates.steering.resumable_rows import KeptRows

REFUSALS = (ValueError, FileNotFoundError)
"""What a reader may raise, with one line."""


class Subject(NamedTuple):
    """A reader.

    Attributes:
        read: function of a path.
        write: function of an empty folder, into which it writes files, or folders, that the reader takes.
        inputs: int, how many `make fuzz` makes.
        name: str, of a path; "" for the file's own.
        archive: bool, whether the members of its archives are changed, and packed again.
    """

    read: Callable
    write: Callable
    inputs: int
    name: str = ""
    archive: bool = False


def models(seed=0):
    """{name: small model}, of several kinds of layers."""
    keras.utils.set_random_seed(seed)
    sequence, tokens = keras.Input((None, 3)), keras.Input((6,), dtype="int32")
    inner = keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True))(sequence)
    lstm = keras.layers.LSTM(2, dropout=0.1, kernel_regularizer="l2", name="lstm")(keras.layers.Masking()(sequence))
    words = keras.layers.LSTM(2)(keras.layers.Embedding(9, 2, mask_zero=True)(tokens))
    return {
        "plain": keras.Model(sequence, keras.layers.Dense(2, activation="softmax")(lstm)),
        "both": keras.Model(sequence, keras.layers.GlobalAveragePooling1D()(inner)),
        "words": keras.Sequential([keras.Model(tokens, words), keras.layers.Dense(1)]),
    }


def write_models(folder, ending=".keras"):
    for name, model in models().items():
        model.save(folder / f"{name}{ending}")


def write_weights(folder):
    models()["plain"].save_weights(folder / "plain.weights.h5")


def read_weights(path):
    if "model" not in _kept:
        _kept["model"] = models()["plain"]
    weights_files.load_weights(_kept["model"], path)


_kept = {}


def write_arrays(folder):
    rng = np.random.default_rng(0)
    for number, array in enumerate((rng.normal(size=(3, 4, 2)), np.arange(5), np.array([["a", "bc"]]), np.True_)):
        np.save(folder / f"{number}.npy", array)
    np.save(folder / "order.npy", np.asfortranarray(rng.normal(size=(3, 4)).astype("float16")))


def write_archives(folder):
    rng = np.random.default_rng(0)
    np.savez(folder / "two.npz", a=rng.normal(size=(3, 2)), b=np.arange(4))
    np.savez(folder / "text.npz", state=np.array(json.dumps({"epoch": 1})), v0=np.zeros(3, "float32"))


def frame():
    rng = np.random.default_rng(0)
    times = pd.date_range("2024-01-01", periods=20, freq="h")
    return pd.DataFrame({"time": times, "share": ["a", "b"] * 10, "target": rng.normal(size=20), "x": np.arange(20)})


def write_csvs(folder):
    frame().to_csv(folder / "dates.csv", index=False)
    frame()[["target", "x"]].to_csv(folder / "german.csv", index=False, sep=";", decimal=",")
    frame().to_csv(folder / "wide.csv", index=False, encoding="utf-16")


def write_steps(folder):
    np.savetxt(folder / "steps.csv", np.random.default_rng(0).normal(size=(5, 3)), delimiter=",")
    (folder / "header.csv").write_text("a,b\n1,2\n3,4\n")


def write_parquets(folder):
    frame().to_parquet(folder / "dates.parquet")
    frame()[["target", "x"]].to_parquet(folder / "plain.parquet", compression=None)


def read_table(path):
    # Only where there is the column, is the rest read.
    group = "share" if b"share" in path.read_bytes() else None
    tables.read(path, Recipe(dataset="t", task="forecasting", target="target", group=group))


def write_traces(folder):
    tree = tracing.trace(models()["both"], np.zeros((2, 4, 3), "float32"), progress=False)
    tracing.save(tree, folder / "gates.zarr")


def write_recipes(folder):
    for name in ("japanese_vowels", "shakespeare_plays", "daily_stocks"):
        (folder / f"{name}.json").write_text(json.dumps(resolve(name, {}).to_dict()))
    table = Recipe(
        dataset="table.csv", task="forecasting", target="load", dates="day-first", decimal="comma", missing="forward",
        sentinels=("-200",), step="1h", fill=True, duplicates="mean",
    )  # fmt: skip
    (folder / "table.json").write_text(json.dumps(table.to_dict()))


def _line(hp):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-3, 1e-1, sampling="log")), loss="mse")
    return model


def write_searches(folder):
    x = np.linspace(-1, 1, 8)[:, None]
    tuning.search(_line, folder / "search", trials=2, objective="loss", fit={"x": x, "y": x})


def write_exports(folder):
    exporting.export(models()["plain"], folder / "exported", np.zeros((2, 4, 3), "float32"), formats=("tflite",))


def write_tflite(folder):
    write_exports(folder)
    (folder / "exported" / "model.tflite").rename(folder / "model.tflite")
    for path in (folder / "exported").iterdir():
        path.unlink()
    (folder / "exported").rmdir()


def write_presets(folder):
    name = folder / "preset"
    name.mkdir()
    shipped = registry.home("italy_power_demand")
    for file in ("card.json", "README.md"):
        (name / file).write_bytes((shipped / file).read_bytes())
    sums = [f"{exporting.checksums.sums.of_folder(name, but='SHA256SUMS')[file]}  {file}\n" for file in sorted(
        path.name for path in name.iterdir())]  # fmt: skip
    (name / "SHA256SUMS").write_text("".join(sums))


def read_preset(path):
    registry.PRESETS["preset"] = registry.dataclasses.replace(
        registry.PRESETS["italy_power_demand"], folder=path.parent
    )
    zoo.card("preset")


def write_runs(folder):
    small_forecaster(folder)
    (folder / "table.csv").unlink()


def read_run(path):
    forecasting.load(path).forecast(pd.DataFrame({"load": np.arange(8.0)}))


def write_steered(folder):
    steer(models()["plain"], {"lstm/f": Set(1.0, units=[0]), "lstm/c": Set(0.0, steps=[2])}, steps=4).save(
        folder / "steered.keras"
    )


def write_ablations(folder):
    model, x = models()["plain"], np.ones((3, 4, 3), "float32")
    ablate(model, x, np.zeros((3, 2)), "mse", "gates", progress=False, store=folder / "ablation.zarr")


def read_ablation(path):
    intervention_sections(ablation=commands._whole(path).to_dataset())


def write_rows(folder):
    rows = KeptRows(3, 2, folder / "rows.npz", {"model": "a"})
    for row in ((0.0, 1.0), (2.0, 3.0), (4.0, 5.0)):
        rows.append(row)


def read_rows(path):
    KeptRows(3, 2, path, {"model": "a"})


def write_torch(folder):
    import torch

    for name, options in (("plain", {}), ("both", {"bidirectional": True, "num_layers": 2})):
        torch.save(torch.nn.LSTM(3, 2, **options).state_dict(), folder / f"{name}.pt")


def write_old_torch(folder):
    """As torch.save wrote before version 1.6."""
    import torch

    write_torch(folder)
    torch.save(torch.nn.LSTM(3, 2).state_dict(), folder / "old.pt", _use_new_zipfile_serialization=False)


def write_safetensors(folder):
    import torch
    from safetensors.torch import save_file

    save_file(torch.nn.LSTM(3, 2, num_layers=2).state_dict(), folder / "two.safetensors")


SUBJECTS = {
    ".keras": Subject(load_model, write_models, 1000, archive=True),
    ".keras, its bytes": Subject(load_model, write_models, 1000),
    ".h5": Subject(load_model, lambda folder: write_weights(folder) or _renamed(folder, ".h5"), 500),
    ".weights.h5": Subject(read_weights, write_weights, 1500),
    ".npy": Subject(read_npy, write_arrays, 4000),
    ".npz": Subject(read_npz, write_archives, 2000, archive=True),
    ".npz, its bytes": Subject(read_npz, write_archives, 1500),
    "table .csv": Subject(read_table, write_csvs, 2500),
    "sequences .csv": Subject(arguments.read_array, write_steps, 2000),
    "Parquet": Subject(read_table, write_parquets, 1500),
    "Zarr": Subject(lambda path: commands._whole(path), write_traces, 1000, name="gates.zarr"),
    "recipe": Subject(Recipe.from_file, write_recipes, 3000),
    "run folder": Subject(read_run, write_runs, 400, name="run"),
    "steered .keras": Subject(load_model, write_steered, 400, archive=True),
    "ablation store": Subject(read_ablation, write_ablations, 400, name="ablation.zarr"),
    "rows of an ablation": Subject(read_rows, write_rows, 1000, archive=True),
    ".pt of PyTorch": Subject(from_torch, write_torch, 1000, archive=True),
    ".pt of PyTorch, its bytes": Subject(from_torch, write_old_torch, 1000),
    ".safetensors": Subject(from_torch, write_safetensors, 1000),
    "search folder": Subject(tuning.read, write_searches, 1000, name="search"),
    "manifest": Subject(exporting.verified, write_exports, 1000, name="exported"),
    "preset": Subject(read_preset, write_presets, 1000, name="preset"),
    "TFLite": Subject(edge.Runner, write_tflite, 100),
}


def _renamed(folder, ending):
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.partition(".")[0] + ending))


def contents(folder):
    """[(name, bytes or {path: bytes})] of what a subject wrote."""
    return [
        (path.name, path.read_bytes() if path.is_file() else _files(path)) for path in sorted(Path(folder).iterdir())
    ]


def _files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
