"""What the environments answered: one JSON file each, and the page that is made of them."""

import json
from pathlib import Path
from xml.etree import ElementTree

from matrix.environments import ENVIRONMENTS, GROUPS, REFUSALS, ROOT

FOLDER = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "versions.md"


def counted(path):
    """What a JUnit file of pytest says: its date, how many passed, failed and were skipped, and which and why."""
    written, passed, failed, skipped = ElementTree.parse(path), 0, {}, {}
    for case in written.iter("testcase"):
        name = f"{case.get('classname').removeprefix('tests.')}::{case.get('name')}"
        outcome = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        if outcome is None:
            passed += 1
        else:
            (skipped if outcome.tag == "skipped" else failed)[name] = (outcome.get("message") or "").split("\n")[0][
                :200
            ]
    date = written.find("testsuite").get("timestamp")[:10]
    return {"date": date, "passed": passed, "failed": failed, "skipped": skipped}


def parsed(printed):
    """The last line of what was printed, as JSON: imports may say something before it."""
    return json.loads(printed.strip().splitlines()[-1])


def add(name, versions, group, counted):
    """Keep what a group of tests answered, in place of what it answered before, beside the other groups.

    An environment has a run for each set of versions that the installer chose for it, the latest one first.
    """
    earlier = kept().get(name, {"runs": []})["runs"]
    others = [
        {**run, "groups": {other: result for other, result in run["groups"].items() if other != group}}
        for run in earlier
    ]
    same = next((run["groups"] for run in others if run["versions"] == versions), {})
    latest = {"versions": versions, "groups": {**same, group: counted}}
    keep(name, {"runs": [latest, *(run for run in others if run["groups"] and run["versions"] != versions)]})


def keep(name, result):
    """Write one environment's result, and the page anew."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(kept()))


def kept():
    """{name: result} of every environment that was run."""
    return {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}


def page(results):
    """The page docs/versions.md."""
    return "\n\n".join([_HEAD, _environments(results), _choice(), _refused(results), *_failures(results)]) + "\n"


_HEAD = """# Versions

Written by `make matrix` (`make matrix ONLY=nightly`: one environment). Each environment is made anew, of the newest
releases that fit the three versions in its row, or of the oldest that `setup.cfg` allows (`floors`). A cell says how
many tests passed / failed / were skipped, of the quick selection that `make test` runs; what failed or was skipped is
named below. What was run earlier with other versions stays in a row of its own until it is run again."""


def _table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _environments(results):
    libraries = ("numpy", "xarray", "zarr", "ai-edge-litert")
    rows = []
    for environment in ENVIRONMENTS:
        if environment.name not in results:
            versions = [f"{environment.python}.x", f"{environment.tensorflow}.x", f"{environment.keras}"]
            rows.append([environment.name, *versions, *[""] * len(libraries), "not run", *[""] * len(GROUPS)])
            continue
        for run in results[environment.name]["runs"]:
            versions, groups = run["versions"], run["groups"]
            keras = versions.get("keras-nightly") or versions["keras"]
            counts = [_counts(groups[group]) if group in groups else "" for group in GROUPS]
            shown = [versions["python"], versions["tensorflow"], keras, *(versions.get(name, "") for name in libraries)]
            dates = sorted({group["date"] for group in groups.values()})
            rows.append([environment.name, *shown, " to ".join(dict.fromkeys([dates[0], dates[-1]])), *counts])
    return _table(["environment", "Python", "TensorFlow", "Keras", *libraries, "date", *GROUPS], rows)


def _counts(group):
    return f"{group['passed']} / {len(group['failed'])} / {len(group['skipped'])}"


def _choice():
    listed = "\n".join(f"- **{environment.name}**: {environment.why}" for environment in ENVIRONMENTS)
    groups = "\n".join(f"- **{group}**: {', '.join(f'`tests/{name}`' for name in GROUPS[group])}" for group in GROUPS)
    return f"Why these:\n\n{listed}\n\nThe groups:\n\n{groups}"


def _refused(results):
    said = results.get("refusals", {"said": {}})["said"]
    rows = [[refusal.name, refusal.why, said.get(refusal.name, "not asked")] for refusal in REFUSALS]
    return "## Refused\n\n" + _table(["what", "why", "what the installer says"], rows)


def _failures(results):
    for environment in ENVIRONMENTS:
        groups = [
            group for run in results.get(environment.name, {"runs": []})["runs"] for group in run["groups"].values()
        ]
        for title, kind in (("failed", "failed"), ("skipped", "skipped")):
            tests = {name: why for group in groups for name, why in group[kind].items()}
            if tests:
                listed = "\n".join(f"- `{name}`: {why}" for name, why in tests.items())
                yield f"## {environment.name}: {title}\n\n{listed}"
