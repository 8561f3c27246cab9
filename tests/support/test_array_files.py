"""Files of arrays that declare more than they hold: one line, before memory is taken."""

import io
import re
import resource
import zipfile

import h5py
import keras
import numpy as np
import pytest
from small import small_model

from keras_lstm_gates._support import sizes
from keras_lstm_gates._support.array_files import read_npy, read_npz
from keras_lstm_gates.layers.weights_files import load_weights
from keras_lstm_gates.opening.readers import load_model

HUGE = [(2**40,), (2**20, 2**20, 3), (2**62, 4)]


@pytest.fixture(autouse=True)
def memory():
    """Each reader has the memory that it has now and 2 GiB."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as pages:
        size = int(pages.read().split()[0]) * resource.getpagesize() + 2**31
    resource.setrlimit(resource.RLIMIT_AS, (size, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def npy(shape, dtype="<f4", content=bytes(64)):
    """A .npy file whose head declares that shape and dtype."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": dtype})
    return file.getvalue() + content


def head(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def refused(read, path, *said):
    with pytest.raises(ValueError, match=re.escape(str(path))) as error:
        read(path)
    text = str(error.value)
    assert len(text.splitlines()) == 1
    for one in said:
        assert one in text


@pytest.mark.parametrize("shape", [*HUGE, (17,), (-16,), (0, 2**60)])
def test_npy_of_another_size(tmp_path, shape):
    (tmp_path / "x.npy").write_bytes(npy(shape))
    refused(read_npy, tmp_path / "x.npy", str(shape), "received 64")


@pytest.mark.parametrize("dtype", ["|O", "|V0", "|S0", [("a", "<f4")]])
def test_npy_of_another_kind(tmp_path, dtype):
    (tmp_path / "x.npy").write_bytes(npy((16,), dtype))
    refused(read_npy, tmp_path / "x.npy", "expected numbers; received the dtype")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x03\x00" + b"\xff" * 60,
        b"x" * 99,
        npy((4,))[:60],
        head("{[]: 1}"),
        head("("),
        head("1"),
    ],
)
def test_npy_that_is_none(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    refused(read_npy, tmp_path / "x.npy")


@pytest.mark.parametrize("shape", HUGE)
def test_npz_of_another_size(tmp_path, shape):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", npy(shape))
    refused(read_npz, tmp_path / "x.npz", str(shape), "received 64")


def test_npz_that_unpacks_to_more(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy((2**20,), content=bytes(2**22)))
    refused(read_npz, tmp_path / "x.npz", "expected 'a.npy' uncompressed")
    (tmp_path / "x.npz").write_bytes(b"PK")
    refused(read_npz, tmp_path / "x.npz")


def huge_weights(shape):
    """An HDF5 file of a few kilobytes that declares a data set of that shape, as bytes."""
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.create_dataset("layers/lstm/cell/vars/0", shape, "float32", chunks=(1,) * len(shape))
        opened["itself"] = opened["layers"]
        opened["layers/again"] = opened["/"]
    return file.getvalue()


@pytest.mark.parametrize("shape", HUGE[:2])
def test_weights_of_another_size(tmp_path, shape):
    path = tmp_path / "model.weights.h5"
    path.write_bytes(huge_weights(shape))
    model, _ = small_model()
    refused(lambda path: load_weights(model, path), path, f"received {4 * np.prod(shape, dtype=object):,} declared")


def rewritten(path, **members):
    """The .keras file with members in place of its own."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, one in (content | members).items():
            archive.writestr(name, one)


@pytest.fixture
def saved(tmp_path):
    keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4)]).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_model_with_weights_of_another_size(saved):
    rewritten(saved, **{"model.weights.h5": huge_weights(HUGE[0])})
    refused(load_model, saved, "declared")


def test_a_model_with_weights_elsewhere(saved, tmp_path):
    links = io.BytesIO()
    with h5py.File(links, "w") as opened:
        opened["layers"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/layers")
    rewritten(saved, **{"model.weights.h5": links.getvalue()})
    refused(load_model, saved, "'/layers' is a link to")


def test_a_model_that_unpacks_to_more(saved, monkeypatch):
    monkeypatch.setattr(sizes, "FREE_BYTES", 2**20)
    monkeypatch.setattr(sizes, "MOST_TIMES", 10)
    rewritten(saved, **{"assets/zeros": bytes(2**23)})
    refused(load_model, saved, "expected arrays of up to")
