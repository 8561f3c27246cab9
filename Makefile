# make demo      the main job on real data, end to end
# make test      the tests, of strangers' models a selection of every kind and stage
# make test-all  all of them, every pair of a stranger's model and a stage and the long studies too, compiled as users do
# make strangers every pair of a stranger's model and a stage, into docs/strangers.md
# make docs      the site of docs/ into runs/site, and `make tutorial` its tutorial, by running it
# make package   a source distribution and a wheel into dist/, the wheel installed and tried in an environment of its own
# make bench     GatedLSTM against Keras, PyTorch and ONNX Runtime: about half an hour
# make matrix    the tests with other versions of Python, TensorFlow and Keras, into docs/versions.md: about an hour
# make fuzz      29,800 damaged files through every reader, into benchmarks/readers.md: half an hour
# make mutants   small faults planted one at a time: which do the tests notice, into benchmarks/mutants.md: hours
# make audit     known vulnerabilities of what is installed
# Each makes the virtual environment .venv where there is none.

# The first of these that is new enough.
PYTHON ?= $(or $(shell for python in python3 python3.13 python3.12 python3.11; do $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done),python3)
VENV := .venv
INSTALLED := $(VENV)/installed

.PHONY: demo checked test test-all package strangers docs tutorial bench matrix audit fuzz mutants clean

demo: $(INSTALLED)
	$(VENV)/bin/keras-lstm-gates demo

checked: $(INSTALLED)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/python -m mypy

# Without LLVM's optimizations XLA compiles in half the time; what it makes of the operations is the same.
test: checked
	XLA_FLAGS="--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true" \
		$(VENV)/bin/python -m pytest -q -n logical --maxprocesses 4 --dist worksteal

test-all: checked
	$(VENV)/bin/python -m pytest -q -n logical --maxprocesses 4 --dist worksteal -m ""

# What fails stands in the page.
strangers: $(INSTALLED)
	-$(VENV)/bin/python -m pytest -q -n logical --maxprocesses 4 --dist worksteal -m "" --junitxml $(VENV)/strangers.xml tests/strangers
	$(VENV)/bin/python tests/strangers/table.py $(VENV)/strangers.xml

docs: $(INSTALLED)
	$(VENV)/bin/python -m mkdocs build --strict

# The wheel is made of the source distribution, and gets what the core needs and nothing else.
package:
	rm -rf dist .nox/package
	$(PYTHON) -m venv .nox/build
	.nox/build/bin/python -m pip install --quiet build twine
	.nox/build/bin/python -m build --outdir dist .
	.nox/build/bin/python -m twine check --strict dist/*
	$(PYTHON) -m venv .nox/package
	.nox/package/bin/python -m pip install --quiet dist/*.whl
	cd .nox && package/bin/python ../tests/installed.py

tutorial: $(INSTALLED)
	$(VENV)/bin/python tests/notebooks.py

bench: $(INSTALLED)
	$(VENV)/bin/python -m pip install --editable '.[bench]'
	$(VENV)/bin/python benchmarks/bench_layer.py

# ONLY=nightly: one environment; `.nox/tool/bin/nox --list --noxfile tests/matrix/noxfile.py` names them.
matrix:
	$(PYTHON) -m venv .nox/tool
	.nox/tool/bin/python -m pip install --quiet nox uv
	PATH="$(CURDIR)/.nox/tool/bin:$$PATH" .nox/tool/bin/nox --noxfile tests/matrix/noxfile.py --envdir .nox/environments $(if $(ONLY),--session $(ONLY)) -- $(GROUPS)

# Strict: else a package that cannot be looked up, as where there is no network, counts as one without a fault.
audit: $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet pip-audit
	$(VENV)/bin/python -m pip freeze --exclude-editable > $(VENV)/audited.txt
	$(VENV)/bin/pip-audit --strict --no-deps --disable-pip --requirement $(VENV)/audited.txt

fuzz: $(INSTALLED)
	cd tests && ../$(VENV)/bin/python -m damage --work ../runs/readers

# ROOMS="training tuning": these rooms, into the page of their own. What is done stays in runs/mutants.
mutants: $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet cosmic-ray coverage
	$(VENV)/bin/python benchmarks/mutants.py $(foreach room,$(ROOMS),--room $(room)) --output $(if $(ROOMS),runs/mutants,benchmarks)/mutants.md

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + "; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --progress-bar on --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) .nox *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
