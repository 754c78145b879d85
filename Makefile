# What there is to do with a clone of this project: `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
IMAGE ?= execution-engine
BASE_IMAGE ?= python:$(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')-slim

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# What to test, and further options of pytest: make test TESTS=test/unit ARGS='-k follow'
TESTS ?= test
ARGS ?=
# How many tests run at the same time: more than there are cores, because most of a test is waiting
JOBS ?= $(shell echo $$(( $$(nproc) + 1 )))
# A test of real clusters may meet a machine that is busy with something else: it gets another try, and the summary says so
RERUNS ?= 2
# Requests, and jobs in the outage test, of the nightly profile
HOSTILE ?= 100000
FATES ?= 2000
# The rules of the engine; what is below a bar here is not done. Only a run of everything can reach it.
COVERED := core jobs store rpc
COVERAGE := $(if $(filter test,$(TESTS)),$(COVERED:%=--cov=execution_engine/%) --cov-branch --cov-report=term:skip-covered --cov-fail-under=95)

.PHONY: help run test test-nightly check bench docs wheels image clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/installed ## set up and run the engine with a first job (EE_PORT, EE_DATA)
	@exec $(BIN)/execution-engine up --demo

test: $(VENV)/installed-dev ## set up and run all tests
	@PYTHONPATH=test $(BIN)/python -m pytest -p ring_times -n $(JOBS) --dist loadfile --reruns $(RERUNS) -r R $(COVERAGE) $(ARGS) $(TESTS)

test-nightly: $(VENV)/installed-dev ## more hostile requests (HOSTILE=NUMBER), and more jobs in outages (FATES=NUMBER)
	@EE_HOSTILE_REQUESTS=$(HOSTILE) EE_OUTAGE_FATES=$(FATES) PYTHONPATH=test $(BIN)/python -m pytest -p ring_times $(ARGS) \
	  test/integration/test_hostile.py test/unit/test_rpc_hostile.py test/resilience/outage

check: $(VENV)/installed-dev ## style, types, import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/installed-dev ## how fast it is, beside what the machine can do
	@met=0; for part in run throughput; do $(BIN)/python test/benchmarks/$$part.py || met=1; done; exit $$met

docs: $(VENV)/installed-dev ## make the generated pages of docs/reference anew
	@$(BIN)/python docs/generate.py

wheels: $(VENV)/installed ## the package and all it needs as wheels, for an image
	@rm -rf wheels build
	@trap 'rm -f execution_engine/git_commit' EXIT; git rev-parse HEAD > execution_engine/git_commit || true; \
	  $(PIP) wheel --wheel-dir wheels . pip
	@rm -rf build

image: wheels ## build the container image (IMAGE, BASE_IMAGE)
	docker build --build-arg BASE_IMAGE=$(BASE_IMAGE) --tag $(IMAGE) .

clean: ## remove what was made here, but not the data
	@rm -rf $(VENV) wheels build *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is too old or missing: Python 3.11 or newer is needed. Name one with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	@echo "Installing the package and what it needs into $(VENV)"
	@$(PIP) install --editable '.[embedded]'
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	@echo "Installing the package, and what its tests need, into $(VENV)"
	@$(PIP) install --editable '.[embedded,dev]'
	@touch $@ $(VENV)/installed
