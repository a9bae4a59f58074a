# Everything a developer needs. `make check` takes minutes; `make slow` has the rest, and CI runs both.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
STAMP  := $(VENV)/.installed

.PHONY: check slow setup lint types test size types-platforms test-slow check-lowest lock audit sbom dist clean

check: setup lint types test size

slow: setup types-platforms sbom test-slow

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# Type checkers do not see the mapping of folders to import names, so a script tells mypy.
TYPES := $(BIN)/python .ci/check_types.py
types: setup
	$(TYPES) --platform linux --cache-dir .mypy_cache/linux

types-platforms: setup
	for platform in darwin win32; do \
	  $(TYPES) --platform $$platform --cache-dir .mypy_cache/$$platform || exit; \
	done

# The size of the house, by room; fails above .ci/budget.toml.
size: setup
	@$(BIN)/python .ci/size.py

SLOW := slow or model

test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not ($(SLOW))'

test-slow: setup
	$(BIN)/python -m pytest -n auto --dist worksteal -m '$(SLOW)'

# The tests that touch dependencies most, with the lowest version of each that pyproject.toml allows.
LOWEST ?= .venv-lowest
check-lowest: setup
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct '.[dev]'
	$(LOWEST)/bin/python -m pytest tests/engine tests/models -n auto --dist worksteal

# The default installation, each package with its version and hashes, for all platforms and Pythons.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes pyproject.toml
lock: setup
	$(BIN)/$(COMPILE) --upgrade --custom-compile-command 'make lock' --output-file requirements.lock

# The same with the extras that a release names: audited for known holes, and listed.
RESOLVED := build/requirements.txt
$(RESOLVED): $(STAMP)
	mkdir -p $(@D)
	$(BIN)/$(COMPILE) --constraint requirements.lock --extra mcp --output-file $@

# Asks PyPI's database of vulnerabilities, which mirrors do not have, so `make slow` leaves it out. The one that is
# ignored is of diskcache, which adascale never opens.
audit: $(RESOLVED)
	$(BIN)/pip-audit --strict --disable-pip --ignore-vuln CVE-2025-69872 --requirement $<

sbom: $(RESOLVED)
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements $< --pyproject pyproject.toml --output-file dist/adascale.cdx.json

# What is uploaded for a release.
dist: setup
	rm -rf build/lib dist/*.whl dist/*.tar.gz
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
