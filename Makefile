# Everything runs in .venv, which the first target that needs it creates. `make help` lists the targets.
PYTHON ?= python3
WORKERS ?= 2
# Real volumes beside the checkout, where there are some; tests and demo use them, nothing needs them.
GENAUG_DATA ?= $(abspath $(wildcard ../shared/data))
ifneq ($(GENAUG_DATA),)
export GENAUG_DATA
endif

BIN := .venv/bin
READY := .venv/.installed
.DEFAULT_GOAL := help
.PHONY: help setup demo test soak lint docs bench clean

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(READY)  ## create .venv with the package and its development tools

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(f"Python {sys.version.split()[0]} found, 3.10 or newer needed: make PYTHON=python3.12" if sys.version_info < (3, 10) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing monai_genaug, PyTorch, MONAI and the tools into .venv: some minutes and GB the first time ..."
	@$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@

demo: setup  ## the whole way from the shipped bundle to a trained network; writes demo_out/report.md
	$(BIN)/python -m monai_genaug demo --out demo_out --force

test: setup  ## all tests (WORKERS=2 processes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

soak: setup  ## builds of pools that are killed at random, twenty times each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/soak -o python_files='soak_*.py' -p no:cacheprovider

lint: setup  ## style, types, oldest Python, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vermin -q -t=3.10- --no-tips --backport typing_extensions monai_genaug
	$(BIN)/lint-imports --no-cache

docs: setup  ## the documentation in docs/_build/html, and all of its examples
	$(BIN)/sphinx-build -q -E -a -W --keep-going -b html docs docs/_build/html
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/docs -o python_files='docs_*.py' -n $(WORKERS) --dist worksteal -p no:cacheprovider

bench: setup  ## everything in benchmarks/, one after the other; writes benchmarks/results.md
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks

clean:  ## remove caches and what demo, docs and builds wrote (not .venv, not runs/)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist docs/_build docs/tutorials/*.ipynb demo_out
