"""A folder whose files all have a known sha256, and that holds nothing else."""

import hashlib
from pathlib import Path

from keras_lstm_gates._support.files import part_of_path


def of_folder(folder, but):
    """{path below the folder: sha256} of all its files.

    Args:
        folder: str or `Path`.
        but: str, the file at its top that is left out: the one that lists the others.

    Raises:
        ValueError: "expected files and folders in zoo/x; received 'model.keras', a link", also for `but`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_text("a")
        >>> of_folder(folder, but="SHA256SUMS")["a.txt"][:8]
        'ca978112'
    """
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            kind = "a link" if path.is_symlink() else "a special file"
            raise ValueError(f"expected files and folders in {folder}; received {name!r}, {kind}")
        if path.is_file() and name != but:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def check(folder, listing, expected):
    """Raise an error unless a folder holds the very files that its listing says, and no others.

    Args:
        folder: str or `Path`.
        listing: str, the name of the file in it that lists the others.
        expected: {path below the folder: sha256}, as listed.

    Raises:
        FileNotFoundError: "expected the file zoo/x/model.keras of zoo/x/SHA256SUMS; it is missing".
        ValueError: "zoo/x/model.keras must have the sha256 ...; received ...", a file that is not listed, a link, or a
            listed name that leads out of the folder.
    """
    folder = Path(folder)
    for path in expected:
        for part in path.split("/"):
            part_of_path(part, f"a file of {listing}")
    received = of_folder(folder, but=listing)
    for path, digest in expected.items():
        if path not in received:
            raise FileNotFoundError(f"expected the file {folder / path} of {folder / listing}; it is missing")
        if received[path] != digest:
            raise ValueError(f"{folder / path} must have the sha256 {digest}; received {received[path]}")
    if extra := sorted(set(received) - set(expected)):
        raise ValueError(f"expected only the files of {folder / listing}; received {extra[0]!r} besides")
