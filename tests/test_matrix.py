"""The table of versions: what it counts, what it shows, and that the tests which it names are there."""

import configparser

import pytest
from matrix import environments, results

JUNIT = """<testsuites><testsuite>
<testcase classname="tests.test_lstm" name="test_a"/>
<testcase classname="tests.test_lstm" name="test_b[x]"><failure message="assert 1 == 2&#10;more"/></testcase>
<testcase classname="tests.test_lstm" name="test_c"><error message="no fixture"/></testcase>
<testcase classname="tests.test_lstm" name="test_d"><skipped message="no GPU"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def counted(tmp_path):
    (tmp_path / "layers.xml").write_text(JUNIT)
    return results.counted(tmp_path / "layers.xml")


def test_counts_by_outcome(counted):
    assert counted == {
        "passed": 1,
        "failed": {"test_lstm::test_b[x]": "assert 1 == 2", "test_lstm::test_c": "no fixture"},
        "skipped": {"test_lstm::test_d": "no GPU"},
    }


def test_the_page_shows_what_ran_what_did_not_and_what_failed(counted):
    versions = {"python": "3.13.0", "tensorflow": "2.21.0", "keras-nightly": "3.16.0.dev1", "numpy": "2.4.6"}
    page = results.page({"nightly": {"date": "2026-11-26", "versions": versions, "groups": {"layers": counted}}})
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in page.splitlines() if line[:1] == "|"]
    rows = {row[0]: row for row in rows}
    assert rows["nightly"][1:5] == ["3.13.0", "2.21.0", "3.16.0.dev1", "2.4.6"]
    assert rows["nightly"][rows["environment"].index("layers")] == "1 / 2 / 1"
    assert rows["floors"][rows["environment"].index("date")] == "not run"
    assert "## nightly: failed\n\n- `test_lstm::test_b[x]`: assert 1 == 2\n- `test_lstm::test_c`" in page


def test_the_page_in_docs_is_of_the_kept_results():
    assert results.PAGE.read_text() == results.page(results.kept())


@pytest.mark.parametrize("group", environments.GROUPS)
def test_the_tests_of_a_group_are_there(group):
    assert all(path.exists() for path in environments.tests(group))


def test_every_requirement_has_a_floor():
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(environments.ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].splitlines()
    required = [line for line in lines if line and not line.startswith("#")]
    assert len(required) > 15
    assert [line for line in required if ">=" not in line] == []
