"""Where CI is true, a test that is skipped fails the run, unless it is listed here with the reason."""

import fnmatch
import os

import pytest

ALLOWED = {
    "tests/support/test_full_disks.py::test_a_full_disk": "mounting a disk needs rights that a container may lack",
    "tests/test_from_r.py::test_the_example_runs_and_draws": "R is large, and .ci/run does not install it",
    "tests/cli/test_cli_writing.py::test_a_full_disk_leaves_nothing*": "mounting a disk needs rights",
    "tests/cli/test_cli_writing.py::test_in_a_folder_of_somebody_else*": "only root becomes another user",
    "tests/support/test_full_disks.py::test_a_folder_of_somebody_else": "only root becomes another user",
}
"""{pattern of a test's id: why it may be skipped where everything is installed that .ci/run installs}"""


class Skips:
    """Notes the skips of a run, of single tests and of whole modules; of xdist's processes the first sees them all."""

    def __init__(self, allowed=ALLOWED):
        self._allowed = allowed
        self._unlisted = {}

    def pytest_runtest_logreport(self, report):
        self._note(report)

    def pytest_collectreport(self, report):
        self._note(report)

    def _note(self, report):
        expected_to_fail = hasattr(report, "wasxfail")
        if report.skipped and not expected_to_fail and not _listed(report.nodeid, self._allowed):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            self._unlisted[report.nodeid] = reason

    def pytest_sessionfinish(self, session):
        if self._unlisted and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self._unlisted:
            terminalreporter.section("skipped and not listed in tests/skips.py", red=True, bold=True)
            for name, reason in self._unlisted.items():
                terminalreporter.line(f"{name}: {reason}")


def _listed(name, allowed):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed)


def watch(config):
    """Let skips fail the run of `config` where CI is true, as .ci/run says."""
    if os.environ.get("CI") == "true" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Skips(), "skips")
