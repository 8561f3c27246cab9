"""README and docs/: every link leads somewhere, every command that they show exists, and README stays short."""

import ast
import importlib
import re
from pathlib import Path

import pytest
import typer.main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [link.partition("#")[0] for link in links if not link.startswith(("http://", "https://", "#"))]
    missing = [link for link in local if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_shown_exist(page):
    from keras_lstm_gates.cli import entry

    known = set(typer.main.get_command(entry.app).commands)
    shown = set(re.findall(r"(?m)(?:^    |`)keras-lstm-gates ([a-z][a-z-]*)", page.read_text(encoding="utf-8")))
    assert shown <= known


def test_readme_names_every_command():
    from keras_lstm_gates.cli import entry

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    unnamed = [name for name in typer.main.get_command(entry.app).commands if not re.search(rf"\b{name}\b", text)]
    assert not unnamed


def test_readme_leads_to_every_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert not [page.name for page in PAGES if page.parent.name == "docs" and f"docs/{page.name}" not in text]


# Libraries and variables whose names the pages write with a dot, and files.
FOREIGN = ("keras", "tensorflow", "tf", "tfds", "torch", "nn", "cell", "shrunk")
FILES = (".py", ".md", ".toml", ".cfg", ".yml", ".json", ".npy", ".npz", ".csv", ".zarr", ".keras", ".Z")


def is_there(dotted):
    """Whether a dotted name leads to something of this package."""
    parts = dotted.removeprefix("keras_lstm_gates.").split(".")
    for count in range(len(parts), -1, -1):
        try:
            found = importlib.import_module(".".join(["keras_lstm_gates", *parts[:count]]))
        except ImportError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        if found is not None:
            return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_that_are_written_with_a_dot_exist(page):
    named = set(re.findall(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\(.*?\))?`", page.read_text(encoding="utf-8")))
    ours = {name for name in named if not name.startswith(tuple(f"{one}." for one in FOREIGN))}
    assert not {name for name in ours if not name.endswith(FILES) and not is_there(name)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_pages_import_from_us_is_there(page):
    lines = re.findall(
        r"(?m)^ *(?:>>> )?(from keras_lstm_gates[\w.]* import [\w, ]+)", page.read_text(encoding="utf-8")
    )
    for line in lines:
        (statement,) = ast.parse(line).body
        for alias in statement.names:
            assert is_there(f"{statement.module}.{alias.name}"), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_stands_in_blocks(page):
    prose = re.sub(r"(?s)```.*?```", "", page.read_text(encoding="utf-8"))
    assert not re.findall(
        r"(?m)^(?:from \S+ import |import \w+$|keras-lstm-gates [a-z]+ \S+ |>>> |pip install ).*", prose
    )
