# Everything that is done in this checkout. `make demo` and `make test` set up what they need:
# Python 3.11 or later with its venv module, and a package registry, are enough.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
LOADERS := target-duckdb target-jsonl target-postgres
TARGETS := $(basename $(notdir $(wildcard requirements/targets/*.in)))
LOCKS := requirements/tap.txt requirements/dev.txt requirements/build.txt requirements/uv.txt \
	requirements/dbt.txt $(LOADERS:%=requirements/targets/%.txt)

# uv and Meltano's installs look where pip is told to look, unless uv is told otherwise. Bytecode is
# written once, at set-up, so that no start pays for it where Python may not write it.
PIP_INDEX = $${PIP_INDEX_URL:-$$($(PYTHON) -m pip config get global.index-url 2>/dev/null || true)}
INDEX = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$(PIP_INDEX)}}" UV_COMPILE_BYTECODE=1

# Tests run in three processes, since many of them wait, file by file, the longest files first (tests/conftest.py);
# ARGS="-n0 tests/streams/test_state.py" runs one file in one process.
WORKERS := -n 3 --no-loadscope-reorder

# Licences that may be shipped with an Apache-2.0 program.
LICENCES = Apache;MIT;BSD;ISC;PSF;Python Software Foundation;MPL;Mozilla;Unlicense;Public Domain;Zlib;0BSD

.DEFAULT_GOAL := help
.PHONY: help demo test coverage faults attack year tables targets bench scale lint licences sbom format docs picture site lock set-up plugins clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: plugins ## Load all three APIs from the sandbox into DuckDB with `meltano run`
	@$(BIN)/python demo/run.py

test: plugins lint licences ## Run every check
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest $(WORKERS) --dist loadfile $(ARGS)

coverage: plugins lint licences ## Run every check as `make test` does, and measure by branch what they reach
	@rm -f .coverage .coverage.*
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/coverage run -m pytest $(WORKERS) --dist loadfile $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

faults: plugins ## Run the whole fault suite: every fault in front of every API, every end of meltano run
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest $(WORKERS) --dist worksteal \
		tests/faults tests/end_to_end/test_interruptions.py -m "whole or not whole" $(ARGS)

attack: set-up ## Run the whole attack suite, about fifteen minutes, and print its table
	@ATTACK_TABLE=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest $(WORKERS) --dist worksteal \
		tests/attack -m "whole or not whole" $(ARGS)

year: plugins ## Run a simulated year: 365 daily runs into PostgreSQL, about half an hour
	@YEAR_RUNS=365 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest tests/year $(ARGS)

tables: set-up ## Read 10 000 generated files, and load a table of 1 GB: about twenty minutes
	@HYPOTHESIS_EXAMPLES=10000 BIG_TABLE_ROWS=9500000 PATH="$(CURDIR)/$(BIN):$$PATH" \
		$(BIN)/pytest $(WORKERS) -rP --log-level=INFO --timeout=0 --dist load \
		tests/tables/test_differential.py tests/streams/test_overlap.py -k "roads or large" $(ARGS)

targets: plugins $(TARGETS:%=.targets/%/.ready) ## Load the same cells into every target and write docs/loaders.md
	@$(BIN)/python targets/check.py $(ARGS)

bench: plugins ## Set this tap beside other ways of the same work, and print the ratios
	@$(BIN)/python benchmarks/bench.py $(ARGS)

scale: plugins .scale/.ready ## Airflow with two workers into PostgreSQL, and Parquet into an S3 server: ten minutes
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n0 -s -rA --timeout=0 \
		tests/end_to_end/test_scale.py -m whole $(ARGS)

lint: set-up ## Run ruff, mypy and import-linter
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

licences: set-up ## Check the licences of all that an installation brings along
	@$(BIN)/pip-licenses --python $(BIN)/python --partial-match --format=plain-vertical \
		--packages $$(sed -n 's/^\([a-z0-9._-]*\)==.*/\1/p' requirements/tap.txt) \
		--allow-only="$(LICENCES)" >/dev/null && echo "All licences are known and permissive."

sbom: .sbom/.ready ## Write dist/sbom.json: a bill of materials of an installation (CycloneDX)
	@mkdir -p dist
	@.sbom/bin/cyclonedx-py requirements requirements/tap.txt --pyproject pyproject.toml \
		--output-format JSON --output-file dist/sbom.json --output-reproducible

format: set-up ## Let ruff mend and format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

docs: set-up ## Write what follows from the settings: docs/settings.md, meltano.yml, the plugin, addresses
	@$(BIN)/python scripts/settings_tables.py

picture: set-up ## Draw docs/assets/terminal.svg from a real run
	@$(BIN)/python scripts/terminal_picture.py

site: set-up ## Build the documentation as a site, into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "The site: $(CURDIR)/site/index.html"

set-up: .venv/.ready
plugins: .meltano/.ready

.venv/.ready: pyproject.toml requirements/uv.txt requirements/dev.txt requirements/docs.txt requirements/build.txt
	@echo "Setting up .venv"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; set PYTHON=.") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	@$(INDEX) $(UV) pip sync --quiet --python $(BIN)/python --require-hashes \
		requirements/dev.txt requirements/docs.txt
	@$(INDEX) $(UV) pip install --quiet --python $(BIN)/python --no-deps \
		--build-constraint requirements/build.txt --editable .
	@$(BIN)/python -m compileall -q tap_autodesk_exports
	@touch $@

.meltano/.ready: .venv/.ready meltano.yml $(LOCKS)
	@echo "Installing the Meltano plugins"
	@$(INDEX) $(BIN)/meltano --log-level=warning install
	@touch $@

# Not in .venv: it brings checks of JSON Schema formats, and every start of the tap would pay a second
# for them there.
.sbom/.ready: requirements/sbom.txt .venv/.ready
	@$(INDEX) $(UV) venv --quiet --clear --python $(BIN)/python .sbom
	@$(INDEX) $(UV) pip sync --quiet --python .sbom/bin/python --require-hashes $<
	@touch $@

# Each target of the page has its own environment, beside those that Meltano keeps.
.targets/%/.ready: requirements/targets/%.txt .venv/.ready
	@echo "Setting up $*"
	@$(INDEX) $(UV) venv --quiet --clear --python $(BIN)/python .targets/$*
	@$(INDEX) $(UV) pip sync --quiet --python .targets/$*/bin/python --require-hashes $<
	@touch $@

# An orchestrator and an S3 server, and the tap with what it needs to write to buckets.
.scale/.ready: requirements/scale.txt requirements/stores.txt .venv/.ready
	@echo "Setting up Airflow, an S3 server and the tap with its stores"
	@$(INDEX) $(UV) venv --quiet --clear --python $(BIN)/python .scale/airflow
	@$(INDEX) $(UV) pip sync --quiet --python .scale/airflow/bin/python --require-hashes \
		requirements/scale.txt
	@$(INDEX) $(UV) venv --quiet --clear --python $(BIN)/python .scale/tap
	@$(INDEX) $(UV) pip sync --quiet --python .scale/tap/bin/python --require-hashes \
		requirements/stores.txt
	@$(INDEX) $(UV) pip install --quiet --python .scale/tap/bin/python --no-deps \
		--build-constraint requirements/build.txt --editable .
	@touch $@

# Pins and hashes for Python 3.11 and later on every platform; no package registry is named in them.
# `make lock UPGRADE=--upgrade` takes the newest releases.
COMPILE = $(INDEX) $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url $(UPGRADE)
lock: set-up ## Write requirements/*.txt anew
	@$(COMPILE) pyproject.toml --extra sandbox --extra report --extra postgres --extra sqlite \
		--group dev -o requirements/dev.txt
	@$(COMPILE) pyproject.toml --extra sandbox --constraint requirements/dev.txt -o requirements/tap.txt
	@$(COMPILE) pyproject.toml --extra sandbox --extra s3 --extra gcs --extra azure \
		--extra postgres --extra sqlite -o requirements/stores.txt
	@$(COMPILE) --group docs --constraint requirements/dev.txt -o requirements/docs.txt
	@$(COMPILE) requirements/uv.in --constraint requirements/dev.txt -o requirements/uv.txt
	@$(COMPILE) pyproject.toml --extra report requirements/dbt.in -o requirements/dbt.txt
	@$(COMPILE) requirements/build.in -o requirements/build.txt
	@$(COMPILE) requirements/scale.in -o requirements/scale.txt
	@$(COMPILE) requirements/sbom.in -o requirements/sbom.txt
	@for name in $(TARGETS); do \
		file=requirements/targets/$$name; overrides=$$(ls $$file.overrides 2>/dev/null || true); \
		$(COMPILE) $${overrides:+--override $$overrides} $$file.in -o $$file.txt || exit 1; done

clean: ## Remove everything that was set up or loaded
	rm -rf .venv .meltano .sbom .scale .targets output site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*
