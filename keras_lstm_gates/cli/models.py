"""The models of the commands: files of every kind, and classes of the user's own."""

import contextvars
import functools
import importlib.util
import inspect
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli.checks import file, import_tensorflow, python_files, run_of

IMPORTS = Annotated[
    list[str],
    typer.Option(
        "--import",
        help="A module that can be imported, or a .py file, with classes of yours; may be repeated.",
        callback=python_files,
    ),
]
WEIGHTS = Annotated[
    Path | None,
    typer.Option(
        help="Of an architecture (.json, .yaml): the file of its weights.", show_default="none", callback=file
    ),
]
_weights = contextvars.ContextVar("the file of --weights", default=None)


def opens_models(command):
    """Give a command the options --import and --weights; it opens its models with `open_model`."""

    @functools.wraps(command)
    def with_options(*args, imports=(), weights=None, **kwargs):
        token = _weights.set(weights)
        try:
            if imports:
                import_tensorflow()
                import_classes(imports)
            return command(*args, **kwargs)
        finally:
            _weights.reset(token)

    options = {"imports": (IMPORTS, []), "weights": (WEIGHTS, None)}
    signature = inspect.signature(command)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, (kind, default) in options.items()
    ]
    with_options.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *added])
    with_options.__annotations__ = {**command.__annotations__, **{name: kind for name, (kind, _) in options.items()}}
    return with_options


def open_model(path):
    """The model of a file, a run folder or a preset; what was translated and what is warned of is printed."""
    from keras_lstm_gates.opening.readers import read

    path = run_of(path)
    if (path / "model.keras").is_file():
        path = path / "model.keras"
    elif (path / "manifest.json").is_file():
        raise ValueError(
            f"expected a model that can be opened; received {path}, an export, whose gates come from "
            f"`keras-lstm-gates run {path} FILE --signature gates`"
        )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        opened = read(path, weights=_weights.get())
    if "translated" in opened.words:
        typer.echo(f"{path}: {opened.words}")
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            typer.echo(f"{path}: {' '.join(str(warning.message).split())}")
    return opened.model


def given_weights():
    """The path of --weights, or None."""
    return _weights.get()


def import_classes(modules):
    """Import modules, and tell Keras of the classes and functions that they define.

    Args:
        modules: list of str, names that can be imported or paths of .py files.

    Raises:
        ValueError: "cannot import 'layers': ModuleNotFoundError: ...".
    """
    for name in modules:
        try:
            module = _from_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
        except Exception as error:
            raise ValueError(f"cannot import {name!r}: {type(error).__name__}: {error}") from error
        import keras

        for key, value in vars(module).items():
            if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__:
                keras.saving.get_custom_objects().setdefault(key, value)


def _from_file(path):
    file(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    # A class finds its module by that name.
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
