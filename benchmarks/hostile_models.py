"""Damaged and hostile model files through `load_model`: each opens or is refused by one line, and runs nothing.

`python benchmarks/hostile_models.py FOLDER [NUMBER]` sends NUMBER files made of the models in FOLDER: .keras, .h5 and
.json.
"""

import base64
import collections
import io
import json
import marshal
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from mutations import BYTES

MEMORY_BYTES = 2**31
"""How much more memory than at its start the process of the readers may take."""

SECONDS = 60
"""How long a file may take."""

HUGE = [2**40, 2**31 - 1, 10**30, 1e308, -1, 0]


def hostile(path, content, rng, marker):
    """(name of the change, bytes) of a model's file, drawn with `rng`; what runs in it writes the file `marker`."""
    kind = str(rng.choice(["bytes", "configuration", "arrays", "code"], p=[0.35, 0.4, 0.15, 0.1]))
    if kind == "bytes" or (kind == "arrays" and path.suffix == ".json"):
        name = str(rng.choice(list(BYTES)))
        return name, BYTES[name](bytearray(content), rng)
    if kind == "code" and rng.random() < 0.4:
        return "pickle", pickle.dumps(_Writes(str(marker)), protocol=int(rng.integers(0, 5)))
    if kind == "arrays":
        return "arrays", _with_hdf5(content, lambda file: _change_arrays(file, rng))
    change = _changed if kind == "configuration" else _with_code
    return kind, _with_configuration(content, lambda tree: change(tree, rng, marker))


class _Writes:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (self.marker, "w")


def _places(tree, found=None):
    """[(container, key)] of everything in a configuration."""
    found = [] if found is None else found
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found.append((tree, key))
        _places(value, found)
    return found


def _changed(tree, rng, marker):
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        places = _places(tree)
        sizes = [(one, key) for one, key in places if type(one[key]) is int or "shape" in str(key)]
        among = sizes if sizes and rng.random() < 0.3 else places
        container, key = among[int(rng.integers(len(among)))]
        old = container[key]
        kind = int(rng.integers(8))
        if kind == 0:
            container[key] = HUGE[int(rng.integers(len(HUGE)))]
        elif kind == 1:
            container[key] = [None, HUGE[int(rng.integers(len(HUGE)))], 3]
        elif kind == 2:
            container[key] = str(rng.choice(["", "eval", "os.system", "../../x", "lstm", "\0", "a" * 5000]))
        elif kind == 3:
            del container[key]
        elif kind == 4:
            container[key] = [old] * int(rng.choice([0, 2, 500]))
        elif kind == 5:
            deep = old
            for _ in range(int(rng.choice([5, 150]))):
                deep = {"class_name": "TimeDistributed", "config": {"layer": deep, "name": "deep"}}
            container[key] = deep
        elif kind == 6:
            container[key] = {"class_name": "__tensor__", "config": {"value": [1.0], "dtype": "float32"}}
        else:
            container[key] = None
    return tree


def _with_code(tree, rng, marker):
    """A layer, an activation or an initializer that is code, or that names something to be imported and called."""
    code = base64.b64encode(marshal.dumps(compile(f"open({str(marker)!r}, 'w')", "x", "eval"))).decode()
    forms = [
        {"class_name": "__lambda__", "config": {"value": [code, None, None]}},
        {"class_name": "Lambda", "config": {"name": "code", "function": [code, None, None], "function_type": "lambda"}},
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
        {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function"},
        {
            "module": "subprocess",
            "class_name": "Popen",
            "config": {"args": ["touch", str(marker)]},
            "registered_name": "Popen",
        },
        {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"},
        {
            "module": "keras.layers",
            "class_name": "TorchModuleWrapper",
            "config": {"module": code},
            "registered_name": None,
        },
    ]
    form = forms[int(rng.integers(len(forms)))]
    places = _places(tree)
    named = [(one, key) for one, key in places if str(key).endswith(("activation", "_initializer", "layer", "layers"))]
    container, key = (named or places)[int(rng.integers(len(named or places)))]
    if isinstance(container[key], list) and container[key]:
        container[key][int(rng.integers(len(container[key])))] = form
    else:
        container[key] = form
    return tree


def _with_configuration(content, change):
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["config.json"] = json.dumps(change(json.loads(members["config.json"]))).encode()
        return _zipped(members)
    if content.startswith(b"\x89HDF"):
        return _with_hdf5(content, lambda file: _rewrite(file, change))
    return json.dumps(change(json.loads(content))).encode()


def _rewrite(file, change):
    tree = json.dumps(change(json.loads(file.attrs["model_config"])))
    file.attrs["model_config"] = tree if len(tree) < 60_000 else tree[:60_000]


def _with_hdf5(content, change):
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["model.weights.h5"] = _with_hdf5(members["model.weights.h5"], change)
        return _zipped(members)
    data = io.BytesIO(content)
    with h5py.File(data, "a") as file:
        change(file)
    return data.getvalue()


def _change_arrays(file, rng):
    names = []
    file.visititems(lambda name, one: names.append(name) if isinstance(one, h5py.Dataset) else None)
    name, kind = names[int(rng.integers(len(names)))], int(rng.integers(7))
    shape = file[name].shape
    del file[name]
    if kind == 0:
        file.create_dataset(name, (2**20, 2**20), "float32", chunks=(1, 1))
    elif kind == 1:
        file.create_dataset(name, data=np.zeros((*shape, 2), "float32"))
    elif kind == 2:
        file.create_dataset(name, data=[b"text"])
    elif kind == 3:
        file[name] = h5py.ExternalLink("/etc/passwd", "/")
    elif kind == 4:
        file.create_group(name)
    elif kind == 5:
        file[name] = h5py.SoftLink("/nowhere")
    group = next(
        (one for one in (file.get("model_weights"), file) if one is not None and "layer_names" in one.attrs), None
    )
    if group is not None and rng.random() < 0.3:
        group.attrs["layer_names"] = [b"../..", b"lstm"]


def _zipped(members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, one in members.items():
            archive.writestr(name, one)
    return data.getvalue()


def through(originals, numbers, folder):
    """[{"number", "change", "ended", "said", "file"}] of hostile files made of some paths; what ended badly stays.

    ended: "opens", "refused", or what went wrong: another error, more than one line, code that ran, the process's end.
    """
    folder = Path(folder)
    marker, results, waiting = folder / "ran", [], []
    contents = {path: Path(path).read_bytes() for path in originals}
    for number in numbers:
        rng = np.random.default_rng(number)
        path = Path(originals[int(rng.integers(len(originals)))])
        change, content = hostile(path, contents[path] if path in contents else path.read_bytes(), rng, marker)
        file = folder / f"{number}{path.suffix}"
        file.write_bytes(content)
        waiting.append((number, change, path.name, file))
    while waiting:
        done = _in_a_process([str(file) for *_, file in waiting], marker)
        for (number, change, original, file), (ended, said) in zip(waiting, done, strict=False):
            results.append({"number": number, "change": change, "of": original, "ended": ended, "said": said})
            if ended in ("opens", "refused"):
                file.unlink()
        waiting = waiting[max(len(done), 1) :]
    return results


def _in_a_process(files, marker):
    """[(ended, said)] of files, as far as one process came; of the one that ended it too."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, "--open", str(marker)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate("\n".join(files) + "\n", timeout=60 + SECONDS * len(files))
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    done = [tuple(json.loads(line.partition(" ")[2])) for line in out.splitlines() if line.startswith("RESULT ")]
    if len(done) < len(files):
        done.append((f"ended with {process.returncode}", err[-300:]))
    return done


def _open_all(marker):
    """Open each file whose path comes in, with bounded memory and time."""
    import resource
    import signal

    import keras_lstm_gates
    from keras_lstm_gates.opening.readers import read  # noqa: F401  its imports are no part of the memory

    keras_lstm_gates.load_model  # noqa: B018
    with open("/proc/self/statm") as pages:
        size = int(pages.read().split()[0]) * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    for line in sys.stdin:
        signal.alarm(SECONDS)
        try:
            keras_lstm_gates.load_model(line.rstrip("\n"))
            ended = ("opens", "")
        except ValueError as error:
            text = str(error)
            ended = (
                "refused" if len(text.splitlines()) == 1 and len(text) < 1000 else "more than one line",
                text[:1000],
            )
            if "safe_mode" in text or "enable_unsafe" in text:
                ended = ("advises to run code", text[:1000])
        except BaseException as error:
            ended = (f"raised {type(error).__name__}", str(error)[:300])
        signal.alarm(0)
        if os.path.exists(marker):
            ended = ("ran code", ended[1])
            os.unlink(marker)
        print("RESULT " + json.dumps(ended), flush=True)


def main(folder, number=1000):
    import tempfile

    originals = sorted(str(path) for path in Path(folder).iterdir() if path.suffix in (".keras", ".h5", ".json"))
    results = through(originals, range(int(number)), tempfile.mkdtemp(prefix="hostile"))
    for ended, count in collections.Counter(one["ended"] for one in results).most_common():
        print(f"{count:6d} {ended}")
    for one in results:
        if one["ended"] not in ("opens", "refused"):
            print(one)


if __name__ == "__main__":
    if sys.argv[1] == "--open":
        _open_all(sys.argv[2])
    else:
        main(*sys.argv[1:])
