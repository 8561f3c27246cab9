"""Zarr stores from others: what this package does not write is refused by one line, before it is followed or read."""

import json
import os
import shutil

import numpy as np
import pytest
import xarray as xr
import zarr
from small import small_model

from keras_lstm_gates import gradients, tracing


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with a trace, gates.zarr, and gradients, gradients.zarr, of another format."""
    folder = tmp_path_factory.mktemp("written")
    model, data = small_model()
    tracing.save(tracing.trace(model, data, progress=False), folder / "gates.zarr")
    gradients.save(gradients.gradient_chain(model, data), folder / "gradients.zarr")
    return folder


@pytest.fixture
def stores(written, tmp_path):
    """A copy of that folder, to change."""
    return shutil.copytree(written, tmp_path / "stores")


def refused(path, said):
    with pytest.raises(ValueError, match="is no store that this package writes: ") as error:
        tracing.load(path)
    assert str(error.value).startswith(f"{path} ")
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def changed(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_what_this_package_writes_is_read(stores):
    tree = tracing.load(stores / "gates.zarr")
    again = stores / "again.zarr"
    tracing.save(tree, again)
    xr.testing.assert_equal(tracing.load(again).load(), tree.load())
    assert set(tracing.load(stores / "gradients.zarr")["lstm"].data_vars) >= {"frobenius", "mask"}


@pytest.mark.parametrize("place", ["lstm/f/zarr.json", "lstm/f/c/0/0/0", "lstm/f", "zarr.json"])
def test_links_are_refused(stores, place):
    store = stores / "gates.zarr"
    os.replace(store / place, stores / "elsewhere")
    (store / place).symlink_to(stores / "elsewhere")
    refused(store, f"received the link {place!r}")


def test_a_pipe_is_not_waited_for(stores):
    os.mkfifo(stores / "gates.zarr" / "lstm" / "pipe")
    refused(stores / "gates.zarr", "received the special file 'lstm/pipe'")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"codecs": [{"name": "bytes"}, {"name": "numcodecs.pickle"}]}, "received ['bytes', 'numcodecs.pickle']"),
        ({"codecs": [{"name": "sharding_indexed", "configuration": {}}]}, "received ['sharding_indexed']"),
        ({"data_type": "string"}, "received the data type 'string'"),
        ({"data_type": {"name": "struct", "configuration": {}}}, "received the data type {'name': 'struct'"),
        ({"zarr_format": 4}, "expected Zarr's format 3; received 4"),
        ({"node_type": "soup"}, "expected an array or a group; received 'soup'"),
        ({"storage_transformers": [{"name": "x"}]}, "received another storage"),
        ({"shape": [5, -6, 4]}, "received [5, -6, 4]"),
        ({"shape": [5, 6]}, "received [5, 6]"),
        ({"shape": None}, "NoneType"),
        ({"chunk_grid": {"name": "regular"}}, "KeyError: 'configuration'"),
        ({"shape": [10**6, 10**6, 4]}, "received 16,"),
        ({"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**9, 6, 4]}}}, "received 96,"),
        ({"data_type": {"name": "fixed_length_utf32", "configuration": {"length_bytes": 10**10}}}, "declared"),
    ],
)
def test_a_trace_of_another_making_is_refused(stores, changes, said):
    changed(stores / "gates.zarr" / "lstm" / "f" / "zarr.json", **changes)
    refused(stores / "gates.zarr", said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dtype": "|O"}, "received the dtype '|O'"),
        ({"filters": [{"id": "pickle"}]}, "expected no filters; received [{'id': 'pickle'}]"),
        ({"compressor": {"id": "pickle"}}, "expected a compressor of ['blosc', 'zstd']; received 'pickle'"),
        ({"zarr_format": 3}, "expected Zarr's format 2; received 3"),
        ({"shape": [10**9, 5, 6]}, "declared"),
    ],
)
def test_gradients_of_another_making_are_refused(stores, changes, said):
    changed(stores / "gradients.zarr" / "lstm" / "frobenius" / ".zarray", **changes)
    refused(stores / "gradients.zarr", said)


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, "\udcff"])
def test_a_description_that_is_none_is_refused(stores, content):
    (stores / "gates.zarr" / "lstm" / "zarr.json").write_bytes(content.encode(errors="surrogateescape"))
    refused(stores / "gates.zarr", "lstm/zarr.json: ")


def test_what_cannot_be_read_again_is_not_written(tmp_path):
    tree = xr.DataTree(xr.Dataset({"text": ("x", np.array(["a", "bc"], object))}))
    with pytest.raises(ValueError, match=r"received \['vlen-utf8', 'zstd'\]"):
        tracing.save(tree, tmp_path / "gates.zarr")
    assert not list(tmp_path.iterdir())


def test_a_trace_goes_on_in_no_folder_that_is_elsewhere(tmp_path):
    """A partial store is written to: its links would carry the numbers into somebody's files."""
    model, data = small_model()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "gates.zarr.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="it is a link"):
        tracing.trace(model, data, to=tmp_path / "gates.zarr", progress=False)
    (tmp_path / "gates.zarr.partial").unlink()
    zarr.create_group(tmp_path / "elsewhere")
    (tmp_path / "gates.zarr.partial").mkdir()
    (tmp_path / "gates.zarr.partial" / "progress.json").write_text('{"samples": 0, "identity": {}}')
    (tmp_path / "gates.zarr.partial" / "store").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="received the link 'store'"):
        tracing.trace(model, data, to=tmp_path / "gates.zarr", progress=False)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["zarr.json"]


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("lstm/f/c/0/0/0", b"x" * 50),
        ("lstm/f/c/0/0/0", b"(\xb5/\xfd\xe0" + b"\xff" * 6 + b"\x00\x00" + b"x" * 50),  # 2^48 bytes, says the frame
        ("lstm/f/c/0/0/0", b""),
        ("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": 3}'),
    ],
)
def test_a_damaged_trace_is_no_page(stores, command, place, content):
    (stores / "gates.zarr" / place).write_bytes(content)
    code, _, errors = command("report", stores / "gates.zarr", "--out", "page.html")
    assert code == 1, errors
    assert len(errors.strip().splitlines()) == 1
    assert "gates.zarr" in errors
