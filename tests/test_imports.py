"""The direction of the imports: each module imports only modules of a lower floor."""

import ast
from pathlib import Path

import pytest

import keras_lstm_gates

PACKAGE = Path(keras_lstm_gates.__file__).parent
FLOORS = [
    {"gates", "edge", "files"},
    {"recurrence", "cell", "opened_layers", "streaming"},
    {"lstm"},
    {"layers", "models", "exposing"},
    {"datasets", "tracing", "terminal"},
    {"gate_statistics"},
    {"plots", "monitoring"},
    {"reporting"},
    {"exporting", "training"},
    {"demo"},
    {"cli"},
]
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}


@pytest.mark.parametrize("name", sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"))
def test_imports_go_down(name):
    for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text())):
        if isinstance(node, ast.ImportFrom):
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            assert not module.startswith(("keras.src", "tensorflow.python")), f"{name} uses the private {module}"
            parts = module.split(".")
            if parts[0] == "keras_lstm_gates" and len(parts) > 1 and parts[1] in FLOOR:
                assert FLOOR[parts[1]] < FLOOR[name], f"{name} imports {parts[1]}, which is no lower floor"


def test_public_names_are_found_where_they_are_said_to_be():
    for name in keras_lstm_gates.__all__:
        assert getattr(keras_lstm_gates, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'gatedlstm'"):
        keras_lstm_gates.gatedlstm  # noqa: B018
