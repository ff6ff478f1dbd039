# Everything there is to do here; `make` alone lists it.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
OUTSIDE := .venv-outside
SPARK := .venv-spark
HOST ?= 127.0.0.1
PORT ?= 8080
WORKERS ?= 1

.DEFAULT_GOAL := help
.PHONY: help run demo test test-spark check format bench bench-spark overload attack guesses chaos fuzz soak outside browser java image clean

help:  ## List what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run  ## Install and start the service on starter data
	@exec $(BIN)/imdlens serve --host $(HOST) --port $(PORT) --workers $(WORKERS)

demo: $(VENV)/.run  ## Fill a store with synthetic contacts (once) and serve its tables
	@[ -f imdlens-demo/counts/counts.sqlite ] || $(BIN)/imdlens demo --out imdlens-demo
	@echo "The dashboard of the demonstration: http://$(HOST):$(PORT)/dashboard"
	@[ ! -d imdlens-demo/local ] || export IMDLENS_LOCAL_DIR=imdlens-demo/local; \
	  IMDLENS_DATA_DIR=imdlens-demo IMDLENS_DESIGN_EFFECT=1.5 \
	  exec $(BIN)/imdlens serve --host $(HOST) --port $(PORT) --workers $(WORKERS)

test: check browser  ## Install what testing needs, check, and run every test
	$(BIN)/pytest -n auto -rs

test-spark: java $(SPARK)/.made  ## Test on a real Spark session (needs Java 17; two minutes)
	$(SPARK)/bin/pytest tests_spark -rs

check: $(VENV)/.dev  ## Lint, types, import rules, dependencies, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	$(BIN)/deptry app
	$(BIN)/imdlens rules check
	$(BIN)/pytest -q tests/test_house_rules.py

format: $(VENV)/.dev  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench  ## Measure everything beside its peers (long; needs wrk; full data by NATIONAL_FILES)
	$(BIN)/python -m benchmarks.all

bench-spark: java $(SPARK)/.made  ## Measure enrichment on Spark beside a broadcast join (full data by NATIONAL_FILES)
	$(SPARK)/bin/python -m benchmarks.spark

overload: $(VENV)/.bench  ## Measure one worker at four times its capacity (a minute)
	$(BIN)/python -m benchmarks.overload --seconds 30

attack: $(VENV)/.dev  ## Attack thousands of invented stores, as published and without the audit (hours)
	$(BIN)/python -m benchmarks.attack --stores 2000

guesses: $(VENV)/.bench  ## Guess 100,000 keys beside a client that has one (two minutes)
	$(BIN)/python -m benchmarks.guesses

chaos: $(VENV)/.bench  ## Kill workers, services and the database under load, 20 times each; then every other fault once
	CHAOS_ROUNDS=$${CHAOS_ROUNDS:-20} $(BIN)/pytest tests/integration/test_survival.py
	$(BIN)/python -m benchmarks.chaos
	$(BIN)/python -m benchmarks.clumsy

fuzz: $(VENV)/.dev  ## Feed every reader a million inputs that coverage guides (hours)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -m fuzz

soak: $(VENV)/.bench  ## Serve a mixed load for SOAK_MINUTES (30) and judge whether it stays flat
	$(BIN)/python -m benchmarks.soak

outside: $(VENV)/.run $(OUTSIDE)/.made  ## Ask a CDS Hooks client and FHIR validators that others wrote (a minute)
	$(OUTSIDE)/bin/pytest outside -rs

browser: $(VENV)/.dev
	@if [ -n "$$CHROMIUM" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && echo "Installing Chromium for the browser tests ..." \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; then :; \
	else echo "Downloading Chromium for the browser tests ..."; $(BIN)/playwright install chromium \
	  || { echo "No Chromium: install one, or name it in CHROMIUM."; exit 1; }; fi

java:
	@major() { "$$1" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -1; }; \
	found=$$(command -v "$${JAVA_HOME:+$$JAVA_HOME/bin/}java" || :); \
	if [ -n "$$found" ] && [ "$$(major "$$found")" -ge 17 ] 2>/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && [ -z "$$JAVA_HOME" ] && command -v apt-get >/dev/null \
	  && echo "Installing Java 17 for Spark ..." \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-17-jre-headless >/dev/null; then :; \
	else echo "Spark needs Java 17 or newer, and none was found: install one (on Debian, apt-get install" \
	  "openjdk-17-jre-headless), or name it in JAVA_HOME."; exit 1; fi

image:  ## Build the container image (needs docker, podman or buildah)
	@tool=$$(command -v docker || command -v podman) || { echo "No docker or podman here."; exit 1; }; \
	  exec $$tool build -t imd-lens .

clean:  ## Remove what was installed and built here
	rm -rf $(VENV) $(OUTSIDE) $(SPARK) imdlens-data imdlens-demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist

# ---- environments: made once, made anew when what they install from changes

$(VENV)/bin/pip:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed, and no python3 was found."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=..."; exit 1; }
	@echo "Making a Python environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "No environment could be made: on Debian, apt-get install python3-venv."; exit 1; }

$(VENV)/.run: $(VENV)/bin/pip pyproject.toml constraints.txt
	@echo "Installing IMD Lens and what it needs (a minute or two the first time) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e . && touch $@

$(VENV)/.dev: $(VENV)/bin/pip pyproject.toml constraints.txt
	@echo "Installing IMD Lens and what its tests need (two or three minutes the first time) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' && touch $@ $(VENV)/.run

$(VENV)/.bench: $(VENV)/.dev
	@echo "Installing what the benchmarks compare with ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]' && touch $@

$(OUTSIDE)/.made: $(VENV)/bin/pip outside/requirements.txt
	@echo "Making an environment in $(OUTSIDE) for what others wrote, whose pins are not ours ..."
	@$(BIN)/python -m venv --clear $(OUTSIDE)
	@$(OUTSIDE)/bin/pip install --quiet --disable-pip-version-check -r outside/requirements.txt && touch $@

$(SPARK)/.made: $(VENV)/bin/pip pyproject.toml constraints.txt
	@echo "Making an environment in $(SPARK) with Spark, 400 MB that nothing else needs (some minutes the first time) ..."
	@$(BIN)/python -m venv --clear $(SPARK)
	@$(SPARK)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[spark]' hypothesis pytest && touch $@
