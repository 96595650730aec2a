# make quickstart   from a fresh clone to a trained detector, its mAP and an overlay
# make test         lint and every test that needs neither minutes, a GPU nor an extra
# make test-numeric the fast tests of networks, training and exports alone, whose numbers depend on the CPU
# make test-all     the slow tests too
# make matrix       the fast tests on every Python here, with the newest and the lowest versions of all libraries; hours
# make gpu          what a GPU brings, within nine minutes, and which goals it meets; needs no network, see docs/performance.md
# make ablation     the paper's tables of lateral connections and beta on the synthetic set; hours
#
# PIP_ARGS chooses another torch build: make quickstart PIP_ARGS="--extra-index-url URL"

PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test test-numeric test-all matrix gpu ablation lint format clean

quickstart: $(VENV)/.installed
	$(BIN)/ava-det quickstart

# two processes of one thread each: threads of several processes on the same cores wait for one another
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

FAST := -m "not slow and not gpu and not needs_shared and not needs_detectron2"

test: lint
	$(PYTEST) $(FAST)

test-numeric: $(VENV)/.installed-test
	$(PYTEST) $(FAST) tests/device tests/models tests/inference tests/training tests/detectors tests/export

test-all: lint
	$(PYTEST)

matrix:
	.ci/matrix

# installs nothing: without .venv, PYTHON is one that has torch
gpu:
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m benchmarks gpu

ablation: $(VENV)/.installed-test
	$(BIN)/ava-det render --output data/synthetic/rendered
	$(BIN)/python -m studies.ablation --jobs 2

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "error: $(PYTHON) is older than 3.11; name a newer one, such as make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || \
		{ echo "error: $(PYTHON) has no venv; install it first, on Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_ARGS) -e .
	touch $@

$(VENV)/.installed-test: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_ARGS) -e ".[test]"
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) outputs data/synthetic/rendered
