"""The types of what is public: each parameter and each return bears one, and editors see the names handed on lazily."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "keras_lstm_gates"
FOLDERS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
# The commands are no names to import, and _support is nobody's feature.
ROOMS = [*sorted(FOLDERS - {"_support", "cli", "saved_models"}), "opening.readers"]
LAZY = ["", "exporting", "forecasting", "presets", "tuning"]
# Each has a page of the reference, by its own name.
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("_"))
TREES = {}


def tree_of(module):
    """The syntax tree of a module, given by its name within the package."""
    if module not in TREES:
        path = PACKAGE.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        TREES[module] = ast.parse(path.read_text())
    return TREES[module]


def assigned(module, name):
    """What a module assigns to a name, as a value; None where it does not."""
    for node in tree_of(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                return None
    return None


def homes(module):
    """{name: the module it comes from} of what a module hands on, lazily or by importing it."""
    origins = dict(assigned(module, "_HOMES") or {})
    for node in tree_of(module).body:
        if isinstance(node, ast.ImportFrom):
            origins |= {alias.name: node.module for alias in node.names}
    prefix = "keras_lstm_gates."
    return {name: home.removeprefix(prefix) for name, home in origins.items() if home.startswith(prefix)}


def definition(module, name):
    """A name's module and definition, through the folders that hand it on; None for a value or a module."""
    for node in tree_of(module).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return module, node
    home = homes(module).get(name, module)
    return None if home == module else definition(home, name)


def public():
    """{"module.name": its definition} of what the package, a room or a module beside them has for others."""
    found = {}
    for room in ["", *ROOMS]:
        places = [definition(room, name) for name in assigned(room, "__all__") or assigned(room, "_HOMES")]
        found |= {f"{module}.{node.name}": node for module, node in filter(None, places)}
    for module in MODULES:
        nodes = [node for node in tree_of(module).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        found |= {f"{module}.{node.name}": node for node in nodes if not node.name.startswith("_")}
    return found


def functions(node):
    """A function, or the public methods of a class and its `__init__`."""
    if isinstance(node, ast.FunctionDef):
        return [node]
    methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
    return [one for one in methods if one.name == "__init__" or not one.name.startswith("_")]


def without_a_type(function, is_method):
    """What of a signature bears no type: parameters, and "return"."""
    is_static = any(ast.unparse(one) == "staticmethod" for one in function.decorator_list)
    given = function.args
    positional = (given.posonlyargs + given.args)[1 if is_method and not is_static else 0 :]
    others = [one for one in (given.vararg, given.kwarg) if one]
    bare = [one.arg for one in (*positional, *given.kwonlyargs, *others) if one.annotation is None]
    return bare + ["return"] * (function.returns is None)


PUBLIC = public()


@pytest.mark.parametrize("name", PUBLIC)
def test_every_parameter_and_return_has_a_type(name):
    node = PUBLIC[name]
    for function in functions(node):
        bare = without_a_type(function, isinstance(node, ast.ClassDef))
        assert not bare, f"line {function.lineno}, {function.name}"


def test_the_list_of_public_names_is_no_empty_promise():
    assert len(PUBLIC) > 120
    assert {"layers.lstm.GatedLSTM", "exporting.writing.export", "tracing.traces.trace", "models.generate"} <= set(
        PUBLIC
    )
    function = ast.parse("def scaled(self, x, *rest: int, by: float = 1, **options): ...").body[0]
    assert without_a_type(function, is_method=True) == ["x", "options", "return"]


@pytest.mark.parametrize("room", LAZY)
def test_a_stub_hands_on_what_is_handed_on_lazily(room):
    stub = ast.parse(PACKAGE.joinpath(room, "__init__.pyi").read_text())
    handed_on = {
        alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert handed_on == assigned(room, "_HOMES")


def test_the_package_says_that_it_has_types():
    assert (PACKAGE / "py.typed").is_file()
