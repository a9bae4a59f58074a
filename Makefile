# Everything a developer needs. `make check` takes minutes; `make slow` has the rest, and CI runs both.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# The name holds a checksum of the list of files: a new file needs a new link in the strict editable installation.
FILES  := $(shell git ls-files --cached --others --exclude-standard -- api cli engine models | cksum | cut -d' ' -f1)
STAMP  := $(VENV)/.installed-$(FILES)

.PHONY: check slow setup lint types test size types-platforms test-slow check-lowest lock audit sbom dist clean

check: setup lint types test size

slow: setup types-platforms sbom test-slow

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	rm -rf build/__editable__* $(VENV)/.installed*
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --config-settings editable_mode=strict
	touch $@

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy --package adascale --package bench

types-platforms: setup
	for platform in darwin win32; do \
	  $(BIN)/mypy --package adascale --platform $$platform --cache-dir .mypy_cache/$$platform || exit; \
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
