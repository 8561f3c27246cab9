"""The table of versions: what it counts, what it shows, and that the tests which it names are there."""

import configparser

import pytest
from matrix import environments, results

JUNIT = """<testsuites><testsuite timestamp="2026-11-26T23:59:59.123+00:00">
<testcase classname="tests.test_lstm" name="test_a"/>
<testcase classname="tests.test_lstm" name="test_b[x]"><failure message="assert 1 == 2&#10;more"/></testcase>
<testcase classname="tests.test_lstm" name="test_c"><error message="no fixture"/></testcase>
<testcase classname="tests.test_lstm" name="test_d"><skipped message="no GPU"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def counted(tmp_path):
    (tmp_path / "layers.xml").write_text(JUNIT)
    return results.counted(tmp_path / "layers.xml")


def shown(page):
    """The rows of all tables of a page."""
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in page.splitlines() if line[:1] == "|"]


def test_counts_by_outcome(counted):
    assert counted == {
        "date": "2026-11-26",
        "passed": 1,
        "failed": {"test_lstm::test_b[x]": "assert 1 == 2", "test_lstm::test_c": "no fixture"},
        "skipped": {"test_lstm::test_d": "no GPU"},
    }


def test_the_page_shows_what_ran_what_did_not_and_what_failed(counted):
    versions = {"python": "3.13.0", "tensorflow": "2.21.0", "keras-nightly": "3.16.0.dev1", "numpy": "2.4.6"}
    page = results.page({"nightly": {"runs": [{"versions": versions, "groups": {"layers": counted}}]}})
    rows = {row[0]: row for row in shown(page)}
    assert rows["nightly"][1:5] == ["3.13.0", "2.21.0", "3.16.0.dev1", "2.4.6"]
    assert rows["nightly"][rows["environment"].index("layers")] == "1 / 2 / 1"
    assert rows["floors"][rows["environment"].index("date")] == "not run"
    assert "## nightly: failed\n\n- `test_lstm::test_b[x]`: assert 1 == 2\n- `test_lstm::test_c`" in page


def test_a_group_that_is_run_again_replaces_its_answer_and_no_other(counted, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(results, "PAGE", tmp_path / "versions.md")
    old, new = ({"python": "3.13.0", "tensorflow": "2.21.0", "keras": version} for version in ("3.12.4", "3.12.5"))
    for date, versions, group in (
        ("2026-11-26", old, "layers"),
        ("2026-11-26", old, "traces"),
        ("2026-11-27", old, "exports"),
        ("2026-11-28", new, "layers"),
        ("2026-11-29", new, "layers"),
    ):
        results.add("py313-tf221", versions, group, {**counted, "date": date})
    rows = [row for row in shown(results.PAGE.read_text()) if row[0] == "py313-tf221"]
    assert [row[3] for row in rows] == ["3.12.5", "3.12.4"]
    # The date, then layers, corpus, exports, traces.
    assert rows[0][8:] == ["2026-11-29", "1 / 2 / 1", "", "", ""]
    assert rows[1][8:] == ["2026-11-26 to 2026-11-27", "", "", "1 / 2 / 1", "1 / 2 / 1"]


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
