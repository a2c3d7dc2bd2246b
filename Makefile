# Playbyplay: `make help` lists what there is. Everything lives in .venv and .playbyplay; delete them to start over.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help setup run test test-browser check format generate bench lock browser clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: .venv/.dev ## everything that run, test, check and bench need, into .venv

run: .venv/.run ## serve the page and the socket on http://127.0.0.1:8787
	@$(BIN)/python -m local

test: .venv/.dev browser ## every test: units, contracts, real sockets, a real browser
	@$(BIN)/python -m pytest -q

test-browser: .venv/.dev browser ## only the tests in a real browser
	@$(BIN)/python -m pytest -q tests/e2e/test_page.py

check: .venv/.dev ## lint, format, types, import contracts, generated files current
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m playbyplay.protocol.schema --check docs/protocol

format: .venv/.dev ## mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generate: .venv/.dev ## docs/protocol from the models
	$(BIN)/python -m playbyplay.protocol.schema docs/protocol

bench: .venv/.dev ## speed and memory beside a bare loop, to the terminal and bench/results/
	@$(BIN)/python -m bench

lock: .venv/.dev ## requirements/*.txt from pyproject.toml, pinned by hash
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url pyproject.toml --group build -o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url pyproject.toml --group build --group dev -o requirements/dev.txt

# The browser tests want a Chromium. Debian's own where we may install it, else the browser tool's.
browser: .venv/.dev
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium (apt)"; apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
	else $(BIN)/python -m playwright install chromium; fi

clean: ## remove .venv, caches and the local data
	rm -rf .venv .playbyplay .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Playbyplay needs Python 3.11 or newer; try make PYTHON=python3.13 run")'
	@$(PYTHON) -m venv .venv

.venv/.run: requirements/run.txt pyproject.toml | .venv/bin/python
	@echo "installing into .venv (once)"
	@$(PIP) install -q --require-hashes -r requirements/run.txt
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	@echo "installing the development tools into .venv (once)"
	@$(PIP) install -q --require-hashes -r requirements/dev.txt
	@touch $@
