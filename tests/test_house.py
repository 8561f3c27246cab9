"""The house: every module has its room, imports go down only, and no file or function grows too long."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import keras_lstm_gates
from keras_lstm_gates import exporting
from keras_lstm_gates._support import sizes

PACKAGE = Path(keras_lstm_gates.__file__).parent
ROOT = PACKAGE.parent

# Of each folder its modules and folders, from the lowest up: each imports only from those before it.
ROOMS = {
    "": """_support recipe_keys datasets edge gates interventions activations initializers recipes losses baselines
        recurrence layers opening presets models residual_models tracing steering exporting shrinking plots
        gradients attribution training forecasting demo reporting tuning zoo cli __main__""",
    "_support": """annotations lazy notebooks predicting progress sizes array_files epoch_monitor locks files sums hdf5
        python standard_error terminal versions zarr_stores child_process""",
    "attribution": """memory watched answers contextual inputs explaining""",
    "baselines": """forecasts ngrams volatility measures""",
    "cli": """app checks words models arguments recipes live demo deployment explaining forecasting inspecting tracing
        questions shrinking steering training tuning zoo entry""",
    "datasets": """examples package_files table_files table_known table_numbers table_calendars table_times tables
    table_moments tfds_names words builders forecasting language sequences data""",
    "exporting": """steered comparing describing exported_files rebuilding stepping onnx signatures drifting
        without_gates saved_model tflite micro formats writing checksums""",
    "exporting.micro": """sources microcontroller files""",
    "exporting.onnx": """activations attention convolutions graph operators lstm operations recurrent layers files""",
    "exporting.tflite": """compacting converting graphs operators loops documenting fused quantizing
        shortening files""",
    "forecasting": """calendars windows traced shards forecasters loading scoring backtests""",
    "gradients": """contributions recording slopes terms verdicts linearized_lstm linearized_rnns products chain monitor
        summaries""",
    "layers": """calibration steered sequences cell weights_files lstm bidirectional""",
    "opening": """directions graphs inputs paths cache pytorch gru twins visitors opened_layers readers walker
        exposing""",
    "opening.readers": """contents functions old_names devices merging old_masks op_layers operations nodes leaves
        declared conversions stored checkpoints cutting filling translating building formats newer models
        weights facts""",
    "plots": """_styles _columns _inputs exports sizes gradients traces explanations forecasts interventions""",
    "presets": """registry files architecture""",
    "recurrence": """arguments interventions turns portable from_hidden compiled paths""",
    "recurrence.compiled": """loops programs batch_parts autodiff chain_rule""",
    "reporting": """checking interventions answers model_inputs page""",
    "shrinking": """units channel_ranges followers rules rebuilding plans evidence scores removals results
        smaller_models""",
    "steering": """holders models sensitivities resumable_rows batches measures ablations patching""",
    "tracing": """batches parts store opened_models traces trace_inputs gate_statistics monitor""",
    "training": """descriptions distributed finiteness metrics summary checkpoints linear automatic_keys
        residual_fit runs several""",
    "tuning": """addresses service oracles spaces hypermodel trials hparams jobs chief_and_workers results figures
        tables searches""",
    "zoo": """cards builds evaluation""",
}
PLACES = {room: {name: place for place, name in enumerate(names.split())} for room, names in ROOMS.items()}
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
MODULES = {".".join(path.with_suffix("").parts).removesuffix("__init__").rstrip("."): path for path in FILES}

MODULES_OF = {
    room: {name for name in names if (PACKAGE / room.replace(".", "/") / f"{name}.py").is_file()}
    for room, names in PLACES.items()
}


def tree_of(path):
    return ast.parse((PACKAGE / path).read_text())


def imported(tree):
    """The modules that a file imports, with those that are handed on by a folder counted as the folder."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}".removeprefix("keras_lstm_gates.")
                yield f"keras_lstm_gates.{inner}" if inner in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_go_down(name):
    room, _, own = name.rpartition(".")
    assert own in PLACES[room], f"{name} stands in no room: add it to ROOMS, above all that it imports"
    for module in imported(tree_of(MODULES[name])):
        assert not module.startswith(("keras.src", "tensorflow.python")), f"{name} uses the private {module}"
        if not module.startswith("keras_lstm_gates.") or module == f"keras_lstm_gates.{name}":
            continue
        importing, other = name.split("."), module.split(".")[1:]
        if other[: len(importing)] == importing:
            continue  # a folder hands on what is in it
        depth = next(at for at, (one, two) in enumerate(zip(importing, other, strict=False)) if one != two)
        places = PLACES[".".join(importing[:depth])]
        assert places[other[depth]] < places[importing[depth]], f"{name} imports {module}, which is not below it"


def test_every_place_is_taken():
    listed = {f"{room}.{name}".lstrip(".") for room, names in PLACES.items() for name in names}
    assert listed == set(MODULES) - {""}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_and_functions_are_short(path):
    text = (PACKAGE / path).read_text()
    # A device gets edge.py alone: what belongs to it has no other room.
    assert len(text.splitlines()) <= (450 if str(path) == "edge.py" else 400)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = node.end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=str)
def test_a_folder_hands_on_names_and_has_no_logic(path):
    for node in tree_of(path).body:
        lazy = isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")
        assert lazy or isinstance(node, (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)), ast.unparse(node)


def test_no_module_bears_the_name_of_what_its_folder_hands_on():
    for room in PLACES:
        folder = importlib.import_module(f"keras_lstm_gates.{room}".rstrip("."))
        handed_on = {name for name in getattr(folder, "__all__", ()) if not inspect.ismodule(getattr(folder, name))}
        assert not handed_on & MODULES_OF[room], room


def test_the_map_in_contributing_names_every_room():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name in PLACES[""]:
        place = f"`{name}/`" if (PACKAGE / name).is_dir() else f"`{name}.py`"
        assert place in text, f"CONTRIBUTING.md does not name {place}"


def test_public_names_are_found_where_they_are_said_to_be():
    for name in keras_lstm_gates.__all__:
        assert getattr(keras_lstm_gates, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'gatedlstm'"):
        keras_lstm_gates.gatedlstm  # noqa: B018


def test_what_the_security_page_names_is_there():
    page = (ROOT / "SECURITY.md").read_text()
    tests = set(re.findall(r"`(tests/[\w/]+\.py)`", page))
    assert len(tests) >= 8
    assert [name for name in tests if not (ROOT / name).is_file()] == []
    assert callable(exporting.verified)
    assert "audit:" in (ROOT / "Makefile").read_text()
    assert f"{sizes.FREE_BYTES // 2**30} GiB, and {sizes.MOST_TIMES} times" in page
