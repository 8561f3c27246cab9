"""Runs the tests in each environment, one after the other, and writes docs/versions.md.

    make matrix                 every environment
    make matrix ONLY=nightly    one; with GROUPS="exports traces" these tests only

An environment takes about 3 GB while it is there, and some minutes.
"""

import datetime
import shutil
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parents[1]))
from matrix import results
from matrix.environments import ENVIRONMENTS, EXTRAS, GROUPS, REFUSALS, REPORTED, ROOT, interpreter, tests

nox.options.default_venv_backend = "uv"
PACKAGE = f"{ROOT}[{','.join(EXTRAS)}]"
# Of the tests, not of the package: recent ones in every environment.
TOOLS = ("pytest>=8.2", "hypothesis>=6.100")


def _install(session, environment):
    lowest = ("--resolution", "lowest-direct") if environment.floors else ()
    session.install(*lowest, "--editable", PACKAGE, *environment.requirements, *TOOLS)
    if environment.keras == "nightly":
        session.run("uv", "pip", "uninstall", "keras", external=True)
        session.install("--no-deps", "--prerelease", "allow", "keras-nightly")


def _versions(session):
    code = (
        "import importlib.metadata, json, platform\n"
        "installed = {one.name.lower().replace('_', '-'): one.version for one in importlib.metadata.distributions()}\n"
        f"kept = {{name: version for name, version in installed.items() if name in {REPORTED}}}\n"
        "print(json.dumps({'python': platform.python_version(), **kept}))"
    )
    return session.run("python", "-c", code, silent=True)


def _run(session, environment):
    _install(session, environment)
    versions = results.parsed(_versions(session))
    folder = Path(session.create_tmp())
    failed = 0
    for group in session.posargs or GROUPS:
        written = folder / f"{group}.xml"
        written.unlink(missing_ok=True)
        # Warnings of other libraries about each other differ with every version; the numbers must not.
        options = (
            "-q",
            "--continue-on-collection-errors",
            "-W",
            "default",
            "-p",
            "no:cacheprovider",
            f"--junitxml={written}",
        )
        session.run(
            *("python", "-m", "pytest", *options, *map(str, tests(group))),
            env={"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            success_codes=range(256),
        )
        counted = results.counted(written)
        failed += len(counted["failed"])
        # At once: a run that is stopped leaves what it has learnt.
        results.add(environment.name, versions, group, counted)
    shutil.rmtree(session.virtualenv.location)
    if failed:
        session.error(f"{failed} tests fail in the environment {environment.name}: see docs/versions.md")


def _absent(session, version):
    session.skip(f"there is no Python {version} on this machine")


def _add(environment):
    python = interpreter(environment.python)

    def session(session):
        _run(session, environment) if python else _absent(session, environment.python)

    session.__doc__ = environment.why
    nox.session(session, name=environment.name, python=python if python else False)


for _environment in ENVIRONMENTS:
    _add(_environment)


@nox.session(python=False)
def refusals(session):
    """What pip must refuse."""
    said = {}
    for refusal in REFUSALS:
        python = interpreter(refusal.python)
        if python is None:
            session.log(f"there is no Python {refusal.python} on this machine")
            continue
        ask = ("uv", "pip", "install", "--dry-run", "--no-color", "--python", python, "--editable", str(ROOT))
        answer = session.run(*ask, refusal.requirement, external=True, silent=True, success_codes=range(256))
        if "unsatisfiable" not in answer:
            session.error(f"{refusal.name} was expected to be refused; received {answer}")
        said[refusal.name] = " ".join(answer[answer.index("Because") :].split())
    results.keep("refusals", {"date": datetime.date.today().isoformat(), "said": said})
