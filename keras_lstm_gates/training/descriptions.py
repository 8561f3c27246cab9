"""What a model was trained on, beside its file or within it: the recipe, and what its numbers mean."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

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
        return cls(Recipe.from_dict(values["recipe"]), dict(values["names"]))


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
    folder = path if path.is_dir() and not (path / SAVED_MODEL).is_file() else path.parent
    try:
        if path.is_file() and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if MEMBER in archive.namelist():
                    return Description.from_dict(json.loads(archive.read(MEMBER)))
        if (folder / "card.json").is_file():
            return Description.from_dict(_json(folder / "card.json"))
        if (folder / "manifest.json").is_file():
            values = _json(folder / "manifest.json").get(MANIFEST_KEY)
            return None if values is None else Description.from_dict(values)
        if (folder / "recipe.json").is_file() and (folder / "names.json").is_file():
            return Description(Recipe.from_file(folder / "recipe.json"), _json(folder / "names.json"))
        if path.is_dir() and (path / "model.keras").is_file():
            return described(path / "model.keras")
    except (
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"expected {path} to say what it was trained on: {said}") from None
    return None


def _json(path):
    return json.loads(path.read_text(encoding="utf-8"))
