"""The direction of the imports: each module imports only modules of a lower floor."""

import ast
from pathlib import Path

import pytest

import keras_lstm_gates

PACKAGE = Path(keras_lstm_gates.__file__).parent
FLOORS = [
    {"_support", "gates", "edge", "initializers", "losses", "recipes"},
    {"recurrence"},
    {"layers"},
    {"opening"},
    {"models"},
    {"datasets", "tracing"},
    {"plots"},
    {"gradients"},
    {"reporting"},
    {"baselines", "exporting", "training"},
    {"demo", "tuning", "zoo"},
    {"cli"},
]
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}


@pytest.mark.parametrize(
    "path", sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
)
def test_imports_go_down(path):
    # A folder is one module: its files may import each other.
    name = path.partition("/")[0].removesuffix(".py")
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.ImportFrom):
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            assert not module.startswith(("keras.src", "tensorflow.python")), f"{name} uses the private {module}"
            parts = module.split(".")
            if parts[0] == "keras_lstm_gates" and len(parts) > 1 and parts[1] in FLOOR and parts[1] != name:
                assert FLOOR[parts[1]] < FLOOR[name], f"{name} imports {parts[1]}, which is no lower floor"


def test_public_names_are_found_where_they_are_said_to_be():
    for name in keras_lstm_gates.__all__:
        assert getattr(keras_lstm_gates, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'gatedlstm'"):
        keras_lstm_gates.gatedlstm  # noqa: B018
