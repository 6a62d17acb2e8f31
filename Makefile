# One environment (.venv), one way to do each thing. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
EXTRAS := demo,papers,dask,pandas,lightning,transformers,accelerate,torchmetrics,onnx,loggers,docs,dev

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lint types layers docs bench dist clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Two stamps: the demonstration needs an eighth of what the tests need.
$(VENV)/.demo-ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 15) else "cofire needs Python 3.11 to 3.14, got " + sys.version.split()[0] + "; try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) "torch>=2.10"
	$(PIP) --editable ".[demo]"
	@touch $@

$(VENV)/.ready: $(VENV)/.demo-ready
	$(PIP) --editable ".[$(EXTRAS)]"
	@touch $@

setup: $(VENV)/.ready ## create .venv and install everything into it

demo: $(VENV)/.demo-ready ## train a small network and write report.html
	$(BIN)/cofire demo

test: setup ## run the tests
	$(BIN)/python -m pytest -n auto

check: setup lint types layers docs test ## everything that CI runs

format: setup ## format the files
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/basedpyright

layers: setup
	$(BIN)/lint-imports

docs: setup ## build the site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

bench: setup ## measure speed against other libraries, as ratios
	$(BIN)/python -m benchmarks

dist: setup ## build sdist and wheel into dist/
	$(BIN)/python -m build --no-isolation

clean: ## remove the environment, runs and build outputs
	rm -rf $(VENV) runs site dist report.html .pytest_cache .ruff_cache .import_linter_cache
