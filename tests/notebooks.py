"""Runs examples/tutorial.py as a notebook; `make tutorial` writes docs/tutorial.md and its pictures by it."""

import os
from pathlib import Path

ROOT = Path(__file__).parent.parent
TUTORIAL = ROOT / "examples" / "tutorial.py"


def executed(*cells):
    """The tutorial's notebook after a run, with more cells of code at its end."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    notebook = jupytext.read(TUTORIAL)
    notebook.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    # On a busy machine what a cell prints comes in pieces.
    NotebookClient(notebook, timeout=300, kernel_name="python3", coalesce_streams=True).execute()
    return notebook


def page(notebook):
    """Its text in Markdown, and {name of a picture's file: bytes}."""
    from nbconvert import MarkdownExporter
    from traitlets.config import Config

    # The libraries greet on standard error.
    notebook = notebook.copy()
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    naming = Config({"ExtractOutputPreprocessor": {"output_filename_template": "tutorial/{cell_index}{extension}"}})
    text, resources = MarkdownExporter(config=naming).from_notebook_node(notebook)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n", resources["outputs"]


def main():
    text, pictures = page(executed())
    for name, content in pictures.items():
        (ROOT / "docs" / name).parent.mkdir(exist_ok=True)
        (ROOT / "docs" / name).write_bytes(content)
    (ROOT / "docs" / "tutorial.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
