PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check lint bench clean

# Train a demo workspace for real and open the dashboard on it.
demo: $(VENV)/.app
	$(BIN)/greenroom demo

# All tests, with the servers and the browser they need.
test: $(VENV)/.dev
	.ci/system-packages
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# What CI runs before the tests: style, types, who may import whom.
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

# Figures against what would be used instead, measured in one run.
bench: $(VENV)/.bench
	.ci/system-packages
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .greenroom build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable ".[rl]"
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable ".[dev]"
	touch $(VENV)/.app $@

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) install --constraint constraints.txt --editable ".[dev,bench]"
	touch $@
