"""What a model was trained on, beside its file or within it: the recipe, and what its numbers mean."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

from keras_lstm_gates._support import sizes
from keras_lstm_gates.recipes import Recipe

MEMBER = "trained_on.json"
"""Within a .keras file, which is a zip archive; Keras passes over it."""

SAVED_MODEL = "saved_model.pb"
"""Within a SavedModel, which is a folder."""

MANIFEST_KEY = "trained_on"
"""Within the manifest.json of an export."""


class Description(NamedTuple):
    """What a model was trained on.

    Attributes:
        recipe: `Recipe`.
        names: dict, `Data.names`: of a forecaster the columns in the model's order, the target, the step ...
    """

    recipe: Recipe
    names: dict

    def to_dict(self):
        """Plain data that `from_dict` takes."""
        return {"recipe": self.recipe.to_dict(), "names": self.names}

    @classmethod
    def from_dict(cls, values):
        recipe, names = Recipe.from_dict(values["recipe"]), values["names"]
        columns = names.get("features", [])
        names_only = isinstance(columns, list) and all(isinstance(name, str) for name in columns)
        if recipe.task == "forecasting" and not (columns and names_only):
            raise ValueError(f"expected the names of the columns that it reads; received {str(columns)[:80]}")
        return cls(recipe, dict(names))


def write_within(path, description):
    """Write a description into a .keras file."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, json.dumps(description.to_dict()))


def described(path):
    """The description of a model; None where nothing tells what it was trained on.

    Args:
        path: str or `Path` of a run folder, a preset's folder, an export folder, or a model's file: a .keras file that
            holds its description, or one in such a folder.

    Raises:
        ValueError: a description that is damaged.
    """
    path = Path(path)
    try:
        values = _within(path) if path.is_file() else _of_folder(path)
        return None if values is None else Description.from_dict(values)
    except _DAMAGES as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"expected {path} to say what it was trained on: {said}") from None


_DAMAGES = (
    LookupError, TypeError, AttributeError, ValueError, RecursionError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def _within(path):
    """The plain data of a file: its own, or, where it has the name that this package gives it, its folder's."""
    own = _member(path)
    named = path.name == "model.keras" or path.suffix == ".tflite"
    return _of_folder(path.parent) if own is None and named else own


def _member(path):
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        if MEMBER not in archive.namelist():
            return None
        sizes.check(archive.getinfo(MEMBER).file_size, path.stat().st_size)
        return json.loads(archive.read(MEMBER))


def _of_folder(folder):
    if (folder / SAVED_MODEL).is_file():
        folder = folder.parent
    if (folder / "card.json").is_file():
        return _json(folder / "card.json")
    if (folder / "manifest.json").is_file():
        return _json(folder / "manifest.json").get(MANIFEST_KEY)
    if (folder / "recipe.json").is_file() and (folder / "names.json").is_file():
        return {key: _json(folder / f"{key}.json") for key in ("recipe", "names")}
    return _member(folder / "model.keras") if (folder / "model.keras").is_file() else None


def _json(path):
    return json.loads(path.read_text(encoding="utf-8"))
