"""What the environments answered: one JSON file each, and the page that is made of them."""

import datetime
import json
from pathlib import Path
from xml.etree import ElementTree

from matrix.environments import ENVIRONMENTS, GROUPS, REFUSALS, ROOT

FOLDER = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "versions.md"


def counted(path):
    """What a JUnit file of pytest says: how many passed, failed and were skipped, and which and why."""
    passed, failed, skipped = 0, {}, {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname').removeprefix('tests.')}::{case.get('name')}"
        outcome = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        if outcome is None:
            passed += 1
        else:
            (skipped if outcome.tag == "skipped" else failed)[name] = (outcome.get("message") or "").split("\n")[0][
                :200
            ]
    return {"passed": passed, "failed": failed, "skipped": skipped}


def parsed(printed):
    """The last line of what was printed, as JSON: imports may say something before it."""
    return json.loads(printed.strip().splitlines()[-1])


def add(name, versions, group, counted):
    """Keep what a group of tests answered beside what the same versions answered to the others."""
    earlier = kept().get(name, {})
    groups = earlier["groups"] if earlier.get("versions") == versions else {}
    today = datetime.date.today().isoformat()
    keep(name, {"date": today, "versions": versions, "groups": {**groups, group: counted}})


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
many tests passed / failed / were skipped."""


def _table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _environments(results):
    libraries = ("numpy", "xarray", "zarr", "ai-edge-litert")
    rows = []
    for environment in ENVIRONMENTS:
        result = results.get(environment.name)
        if result is None:
            versions = [f"{environment.python}.x", f"{environment.tensorflow}.x", f"{environment.keras}"]
            rows.append([environment.name, *versions, *[""] * len(libraries), "not run", *[""] * len(GROUPS)])
            continue
        versions = result["versions"]
        keras = versions.get("keras-nightly") or versions["keras"]
        counts = [_counts(result["groups"][group]) if group in result["groups"] else "" for group in GROUPS]
        shown = [versions["python"], versions["tensorflow"], keras, *(versions.get(name, "") for name in libraries)]
        rows.append([environment.name, *shown, result["date"], *counts])
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
        groups = results.get(environment.name, {"groups": {}})["groups"].values()
        for title, kind in (("failed", "failed"), ("skipped", "skipped")):
            tests = {name: why for group in groups for name, why in group[kind].items()}
            if tests:
                listed = "\n".join(f"- `{name}`: {why}" for name, why in tests.items())
                yield f"## {environment.name}: {title}\n\n{listed}"
