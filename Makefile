# make demo      the main job on real data, end to end
# make test      the tests, of strangers' models a selection of every kind and stage
# make test-all  the same and every other pair of a stranger's model and a stage
# make bench     GatedLSTM against Keras, PyTorch and ONNX Runtime: about half an hour
# Each makes the virtual environment .venv where there is none.

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/installed

.PHONY: demo test test-all bench clean

demo: $(INSTALLED)
	$(VENV)/bin/keras-lstm-gates demo

test: $(INSTALLED)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile

test-all: test
	$(VENV)/bin/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile -m full tests/strangers

bench: $(INSTALLED)
	$(VENV)/bin/python -m pip install --editable '.[bench]'
	$(VENV)/bin/python benchmarks/bench_layer.py

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed; this is " + sys.version.split()[0] + "; try make PYTHON=python3.11" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --progress-bar on --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .ruff_cache .hypothesis
