"""One of several processes' part of a work: any scheduler runs them side by side, and again the one that was killed."""

import re
from typing import NamedTuple

import numpy as np

from keras_lstm_gates._support import locks
from keras_lstm_gates._support.files import remove, replaced_when_whole


class Shard(NamedTuple):
    """The part `number` of `count`, from 1.

    Example:
        >>> shard_of("3/16")
        Shard(number=3, count=16)
        >>> shard_of("3/16").file("parquet")
        'part-00003-of-00016.parquet'
    """

    number: int
    count: int  # type: ignore[assignment]  # it hides the method of a tuple

    def of(self, windows):
        """These windows' part, a `TableWindows` of neighbours."""
        if self.count > len(windows):
            raise ValueError(f"expected up to {len(windows)} shards of {len(windows)} windows; received {self.count}")
        return windows.at(np.array_split(np.arange(len(windows)), self.count)[self.number - 1])

    def file(self, suffix):
        """The name of its file in the folder that all share."""
        return f"part-{self.number:05}-of-{self.count:05}.{suffix}"


def shard_of(text):
    """The `Shard` that "3/16" names."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"expected a shard such as 3/16, from 1/16 to 16/16; received {text!r}")
    return Shard(int(match[1]), int(match[2]))


def write_table(table, path):
    """Write forecasts as a Parquet file, whole or not at all; a folder of shards is one Parquet data set.

    Raises:
        ImportError: without pyarrow.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ImportError(
            f"{path} is written with pyarrow, which is not installed; run: pip install 'keras_lstm_gates[parquet]'"
        ) from None
    with replaced_when_whole(path) as temporary:
        table.to_parquet(temporary, index=False)


def join_traces(folder, shard, name):
    """Whether all shards of a trace are there; the last one that comes joins them, and takes them away.

    Args:
        folder: `Path` that holds the traces of the shards, as `Shard.file("zarr")` calls them.
        shard: `Shard`, any of them.
        name: str, of the joined store.
    """
    from keras_lstm_gates.tracing import concatenated

    parts = [folder / shard._replace(number=number).file("zarr") for number in range(1, shard.count + 1)]
    with locks.alone(folder, folder / name, patience=-1):
        if (folder / name).exists():
            return True
        if not all(part.exists() for part in parts):
            return False
        with replaced_when_whole(folder / name) as temporary:
            concatenated(parts, temporary)
        for part in parts:
            remove(part)
        return True
