"""What an installed package holds, from the wheel that setup.cfg makes."""

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "runs", "build", "tests", "benchmarks")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    subprocess.run([*pip, folder / "source"], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def _files(*parts):
    folder = ROOT.joinpath(*parts)
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_wheel_holds_the_package_and_the_zoo(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {f"keras_lstm_gates/{path}" for path in _files("keras_lstm_gates") if "__pycache__" not in path}
    zoo = {f"keras_lstm_gates/saved_models/{path}" for path in _files("saved_models")}
    assert len(zoo) > 20
    assert held == package | zoo


def test_an_unpacked_wheel_finds_its_zoo(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    script = "from keras_lstm_gates.presets import list, registry; print(registry.shipped_folder(), *list())"
    found = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True)
    folder, *names = found.stdout.split()
    assert Path(folder) == tmp_path / "keras_lstm_gates" / "saved_models"
    assert set(names) == {path.parent.name for path in (ROOT / "saved_models").glob("*/SHA256SUMS")}


def test_processes_of_the_tests_import_this_checkout(tmp_path):
    script = "import keras_lstm_gates, small; print(keras_lstm_gates.__file__)"
    found = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert Path(found.stdout.strip()) == ROOT / "keras_lstm_gates" / "__init__.py"


# Releases in which a file could run code; setup.cfg names each hole beside its floor.
UNSAFE = {
    "keras": ["3.10.0", "3.11.2", "3.12.0", "3.13.1"],
    "numcodecs": ["0.15.1", "0.16.5", "0.17.0"],
    "pyarrow": ["14.0.0", "22.0.0"],
}


@pytest.mark.parametrize("name", UNSAFE)
def test_no_release_is_taken_in_which_a_file_could_run_code(name):
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    groups = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    lines = [line for group in groups for line in group.splitlines() if line and line[0] not in "#%"]
    wanted = [one for one in map(Requirement, lines) if one.name == name]
    assert wanted
    assert [release for release in UNSAFE[name] for one in wanted if one.specifier.contains(release)] == []
