"""A skip that nobody has explained fails a run of the continuous integration, and only there."""

import os
import subprocess
import sys

import pytest

TESTS = {
    "test_one.py": "import pytest\ndef test_passes(): pass\n@pytest.mark.skip('no browser')\ndef test_page(): pass\n",
    "test_module.py": "import pytest\npytest.importorskip('no_such_module')\ndef test_never(): pass\n",
    "test_known.py": "import pytest\n@pytest.mark.xfail\ndef test_known_fault(): assert False\n",
}
CONFTEST = (
    "import skips\nskips.ALLOWED['test_listed.py::*'] = 'why'\ndef pytest_configure(config): skips.watch(config)\n"
)


def run(folder, files, *options, ci="true"):
    (folder / "conftest.py").write_text(CONFTEST)
    for name in files:
        (folder / name).write_text(TESTS.get(name, TESTS["test_one.py"]))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "CI": ci}, capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "xdist"])
@pytest.mark.parametrize(
    ("name", "told"),
    [("test_one.py", "test_one.py::test_page: Skipped: no browser"), ("test_module.py", "test_module.py: Skipped:")],
)
def test_a_skip_without_a_reason_fails(tmp_path, name, told, options):
    code, printed = run(tmp_path, ["test_known.py", name], *options)
    assert code == 1
    assert told in printed.partition("skipped and not listed in tests/skips.py")[2]


def test_a_listed_skip_and_a_known_fault_pass(tmp_path):
    code, printed = run(tmp_path, ["test_listed.py", "test_known.py"])
    assert (code, "not listed" in printed) == (0, False), printed


def test_elsewhere_a_skip_passes(tmp_path):
    assert run(tmp_path, ["test_one.py"], ci="")[0] == 0
