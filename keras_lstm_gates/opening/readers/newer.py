"""Models of a newer Keras than this one."""

import contextlib
import inspect
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import keras

# What Keras 3.15 writes in every configuration of some classes and Keras 3.12 refuses: the value that asks for nothing.
AS_BEFORE = {
    "quantization_config": None,
    "use_gate": False,
    "sliding_window": None,
    "input_axes": None,
    "output_axes": None,
}
_ROOMS = {"keras.layers": keras.layers, "keras.initializers": keras.initializers}


def without_news(config):
    """A configuration without the arguments that this Keras does not know and that ask for nothing."""
    if isinstance(config, list):
        return [without_news(one) for one in config]
    if not isinstance(config, dict):
        return config
    config = {key: without_news(value) for key, value in config.items()}
    room, arguments = _ROOMS.get(str(config.get("module"))), config.get("config")
    kind = getattr(room, str(config.get("class_name")), None)
    if isinstance(kind, type) and isinstance(arguments, dict):
        known = inspect.signature(kind).parameters
        news = {name for name, value in AS_BEFORE.items() if name not in known and arguments.get(name, ()) == value}
        config["config"] = {name: value for name, value in arguments.items() if name not in news}
    return config


@contextlib.contextmanager
def with_configuration(path, config):
    """The path of a `.keras` file that is as the one at `path` but for its configuration, while it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.keras"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
            for name in old.namelist():
                with old.open(name) as source, new.open(name, "w", force_zip64=True) as target:
                    if name == "config.json":
                        target.write(json.dumps(config).encode())
                    else:
                        shutil.copyfileobj(source, target)
        yield copy
