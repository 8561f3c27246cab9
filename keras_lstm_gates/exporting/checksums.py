"""Is an exported folder as `export` left it?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from keras_lstm_gates._support import sums

if TYPE_CHECKING:
    from keras_lstm_gates._support.annotations import StrPath


MANIFEST = "manifest.json"


def verified(folder: StrPath) -> Path:
    """The folder, once every file in it has the sha256 that its manifest.json tells.

    The sums tell damage and tampering with a file, not a forger who writes the manifest anew as well.

    Args:
        folder: str or `Path`, that `export` wrote.

    Returns:
        `Path`.

    Raises:
        FileNotFoundError: "expected the files of an export in x; there is no manifest.json", or a file is missing.
        ValueError: a file was changed or added, or is a link; a manifest that is none.

    Example:
        `exporting.verified("exported") / "model.tflite"`
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise FileNotFoundError(f"expected the files of an export in {folder}; there is no {MANIFEST}")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected = dict(manifest["sha256"])
        for one in manifest["formats"].values():
            expected |= one["sha256"]
        if not all(isinstance(one, str) for pair in expected.items() for one in pair):
            raise ValueError("expected texts as names and sums")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{folder / MANIFEST} is none of an export: {type(error).__name__}: {error}") from None
    sums.check(folder, MANIFEST, expected)
    return folder
