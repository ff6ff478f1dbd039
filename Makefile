# Everything there is to do here; `make` alone lists it.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
OUTSIDE := .venv-outside
SPARK := .venv-spark
SHIPPED := .venv-shipped
HOST ?= 127.0.0.1
PORT ?= 8080
WORKERS ?= 1

.DEFAULT_GOAL := help
.PHONY: help run demo test test-spark check format bench bench-spark overload attack guesses chaos fuzz soak outside docs docs-serve reference browser nginx java wheel sbom licences image image-check clean

help:  ## List what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run  ## Install and start the service on starter data
	@exec $(BIN)/imdlens serve --host $(HOST) --port $(PORT) --workers $(WORKERS)

demo: $(VENV)/.run  ## Fill a store with synthetic contacts (once) and serve its tables
	@[ -f imdlens-demo/counts/counts.sqlite ] || $(BIN)/imdlens demo --out imdlens-demo
	@echo "The dashboard of the demonstration: http://$(HOST):$(PORT)/dashboard"
	@[ ! -d imdlens-demo/local ] || export IMDLENS_LOCAL_DIR=imdlens-demo/local; \
	  IMDLENS_DATA_DIR=imdlens-demo IMDLENS_DESIGN_EFFECT=1.5 \
	  exec $(BIN)/imdlens serve --host $(HOST) --port $(PORT) --workers $(WORKERS)

test: check browser nginx  ## Install what testing needs, check, and run every test
	$(BIN)/pytest -n auto -rs

test-spark: java $(SPARK)/.made  ## Test on a real Spark session (needs Java 17; two minutes)
	$(SPARK)/bin/pytest tests_spark -rs

check: $(VENV)/.dev  ## Lint, types, import rules, dependencies, security, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	$(BIN)/deptry app
	$(BIN)/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive app migrations supply
	@$(BIN)/python -m supply.audit
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

docs: $(VENV)/.dev  ## Build the documentation as a site in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs-serve: $(VENV)/.dev  ## Show the documentation on http://127.0.0.1:8001/, built anew when a page changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8001

reference: $(VENV)/.dev  ## Write the pages and tables of the documentation that follow from the code
	$(BIN)/python -m handbook.reference

browser: $(VENV)/.dev
	@if [ -n "$$CHROMIUM" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && echo "Installing Chromium for the browser tests ..." \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; then :; \
	else echo "Downloading Chromium for the browser tests ..."; $(BIN)/playwright install chromium \
	  || { echo "No Chromium: install one, or name it in CHROMIUM."; exit 1; }; fi

nginx: $(VENV)/.dev
	@if PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && echo "Installing nginx for the tests of the proxy ..." \
	  && apt-get update -qq \
	  && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light >/dev/null; then :; \
	else echo "No nginx: the tests of the proxy are skipped."; fi

java:
	@major() { "$$1" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -1; }; \
	found=$$(command -v "$${JAVA_HOME:+$$JAVA_HOME/bin/}java" || :); \
	if [ -n "$$found" ] && [ "$$(major "$$found")" -ge 17 ] 2>/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && [ -z "$$JAVA_HOME" ] && command -v apt-get >/dev/null \
	  && echo "Installing Java 17 for Spark ..." \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-17-jre-headless >/dev/null; then :; \
	else echo "Spark needs Java 17 or newer, and none was found: install one (on Debian, apt-get install" \
	  "openjdk-17-jre-headless), or name it in JAVA_HOME."; exit 1; fi

wheel: $(VENV)/.dev  ## Build the wheel, the same bytes each time, and print its SHA-256
	@rm -f dist/*.whl && $(BIN)/python -m hatchling build -t wheel -d dist >/dev/null 2>&1
	@$(BIN)/python -m supply.sums dist/*.whl

sbom: wheel  ## Install the wheel by itself, and write its bill of materials and the checksums of what it needs (minutes)
	@echo "Making an environment in $(SHIPPED) with the wheel and what it needs, and nothing else ..."
	@$(PYTHON) -m venv --clear $(SHIPPED)
	@$(SHIPPED)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt --report $(SHIPPED)/report.json dist/*.whl
	@$(BIN)/python -m supply.bom --python $(SHIPPED)/bin/python --report $(SHIPPED)/report.json --wheel dist/*.whl --out dist
	@$(BIN)/python -m supply.sums dist/*

licences: $(VENV)/.dev  ## List the licences of what runs with the service, in docs/licences.md
	@$(BIN)/python -m supply.licences

image:  ## Build the container image (needs docker, podman or buildah)
	@tool=$$(command -v docker || command -v podman || command -v buildah) \
	  || { echo "No docker, podman or buildah here."; exit 1; }; \
	  exec $$tool build -t imd-lens --build-arg COMMIT=$$(git rev-parse HEAD 2>/dev/null) .

image-check: $(VENV)/.dev  ## Build the image without any registry of images and hold it to its word (root, Debian; ten minutes)
	$(BIN)/python deploy/image_check.py

clean:  ## Remove what was installed and built here
	rm -rf $(VENV) $(OUTSIDE) $(SPARK) $(SHIPPED) imdlens-data imdlens-demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist site

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
