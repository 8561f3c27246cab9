"""What MkDocs builds the site of: the repository's own pages, and two kinds that are generated. See mkdocs.yml."""

import ast
from pathlib import Path

import griffe
from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
KEPT = (
    "*.md",
    "LICENSE",
    "docs/**/*.md",
    "docs/**/*.png",
    "benchmarks/*",
    "examples/**/*",
    "saved_models/*/README.md",
    "saved_models/*/*.png",
)


# What is public of interventions is on the page of steering.
INTERNAL = ("cli", "demo", "interventions", "recipe_keys", "saved_models")


def on_files(files, config):
    """All pages, at the paths that they have in the repository."""
    for file in list(files):
        if file.src_uri.endswith((".md", ".png", ".py")):
            files.remove(file)
    generated = {"benchmarks/index.md": benchmarks()} | references()
    for pattern in KEPT:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and "__pycache__" not in name:
                files.append(File.generated(config, name, abs_src_path=str(path)))
    for name, text in generated.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_config(config):
    """The pages of the reference, where mkdocs.yml has `Reference`."""
    for entry in config.nav:
        if isinstance(entry, dict) and "Reference" in entry:
            entry["Reference"] = list(references())
    return config


class Examples(griffe.Extension):
    """Our docstrings have one `Example:`, which is no section of its own in Google's style."""

    def on_instance(self, *, obj, **_):
        """Rename it before the docstring is parsed."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")


def references():
    """{page: text} for each room with public names, which mkdocstrings fills from the docstrings."""
    pages = {}
    for path in sorted((ROOT / "keras_lstm_gates").iterdir()):
        name = path.stem
        if name.startswith("_") or name in INTERNAL or not _public(path):
            continue
        shown = [f"::: keras_lstm_gates.{name}", *map(_entry, _lazy_names(path))]
        pages[f"reference/{name}.md"] = "\n\n".join([f"# keras_lstm_gates.{name}", *shown, ""])
    return pages


def _lazy_names(path):
    """{name: the module that it comes from}, sorted, of what a folder hands on when it is first used."""
    source = path / "__init__.py"
    for node in ast.parse(source.read_text()).body if source.is_file() else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES":
            return sorted(ast.literal_eval(node.value).items())
    return []


def _entry(one):
    """The entry of a name that mkdocstrings does not find in the folder itself."""
    name, home = one
    return (
        f"::: {home}.{name}\n    options:\n      show_root_toc_entry: true\n      show_root_heading: true\n"
        "      show_root_full_path: false"
    )


def _public(path):
    source = path / "__init__.py" if path.is_dir() else path
    return source.suffix == ".py" and source.is_file() and bool(ast.get_docstring(ast.parse(source.read_text())))


def benchmarks():
    """A page that leads to every benchmark, by its heading and its first sentence."""
    lines = ["# Benchmarks", "", "Each was written by the program that its page names.", ""]
    for path in sorted((ROOT / "benchmarks").glob("*.md")):
        heading, _, rest = path.read_text(encoding="utf-8").partition("\n")
        first = " ".join(rest.strip().split("\n\n")[0].split())
        lines.append(f"- [{heading.lstrip('# ')}]({path.name}): {first}")
    return "\n".join(lines) + "\n"
