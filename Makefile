# Two commands do all the set-up:
#   make quickstart   environment, installation, the main job on embedded models
#   make test         the same environment, then every test

PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/quickstart
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help quickstart test thorough sweep fuzz nightly test-portable test-portable-short check format docs build clean

PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
# Sums in another order and without newer instructions, as on another processor; on ARM only the first has a meaning.
OTHER_KERNELS := ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE ONEDNN_MAX_CPU_ISA=SSE41
# Threads that wait without spinning, since workers share the cores.
TWO_THREADS := OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive
# The tests that train or decode.
NUMERIC := tests/generate tests/finetune tests/models tests/judges/test_local.py tests/test_api.py \
  $(addprefix tests/commands/test_,audit.py callback.py experiments.py run.py)

help:
	@echo "make quickstart   see it work: which scores survive fine-tuning (no download, no GPU)"
	@echo "make test         run the tests"
	@echo "make thorough     more cases of bad input, crashes and damage (some minutes)"
	@echo "make sweep        the engine against every architecture of transformers (some minutes)"
	@echo "make fuzz         every reader on made-up files (an hour)"
	@echo "make nightly      a run killed at every file operation, damaged in every way (hours)"
	@echo "make test-portable  every test as on other processors: other kernels, two threads, other trainings"
	@echo "make check        lint, types, import contracts"
	@echo "make docs         the documentation site in site/, with an example report"
	@echo "make build        wheel and sdist in dist/"

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "aftertune needs Python 3.11, 3.12 or 3.13: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.runtime: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing into $(VENV) (a few minutes the first time) ..."
	@$(BIN)/pip install --quiet --constraint constraints.txt torch
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "installing what the tests need ..."
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

quickstart: $(VENV)/.runtime
	@$(BIN)/aftertune quickstart --out $(OUT)

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(PYTEST)

# Beside `make test`, which is ordinary kernels, one thread and seed 0.
test-portable: $(VENV)/.dev
	AFTERTUNE_TEST_SEED=1 $(TWO_THREADS) $(PYTEST)
	AFTERTUNE_TEST_SEED=2 OMP_NUM_THREADS=1 $(OTHER_KERNELS) $(PYTEST)
	AFTERTUNE_TEST_SEED=0 $(TWO_THREADS) $(OTHER_KERNELS) $(PYTEST)

test-portable-short: $(VENV)/.dev
	AFTERTUNE_TEST_SEED=1 $(TWO_THREADS) $(OTHER_KERNELS) $(PYTEST) -m "not slow and not sweep and not fuzz and not nightly and not thorough" $(NUMERIC)

thorough: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(PYTEST) -m "thorough and not nightly"

sweep: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(PYTEST) -m sweep tests/generate/test_architectures.py

fuzz: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(PYTEST) -m fuzz tests/commands/test_fuzz.py
nightly: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(PYTEST) -m nightly tests/commands/test_nothing_lost.py

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.docs: $(VENV)/.runtime
	@echo "installing what the site needs ..."
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	@touch $@

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

build: $(VENV)/.dev
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) runs dist site
