# Everything here works on a fresh clone with nothing but python3 (3.11 or newer) and make.
PYTHON  ?= python3
VENV    ?= .venv
SUITE   ?= quick
RUNS    ?= runs
ARGS    ?=

BIN     := $(VENV)/bin
RUN_ENV := $(VENV)/.installed-run
DEV_ENV := $(VENV)/.installed-dev
BENCH_ENV := $(VENV)/.installed-bench
PINS    := pyproject.toml constraints.txt
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt
FAILED  := || { echo "Installing did not work; what pip said stands above. The same command goes on." >&2; \
	echo "Mend: a network, or PIP_INDEX_URL or PIP_FIND_LINKS, which say where packages are." >&2; exit 2; }

# Modules of another environment would be imported before those of this one.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help run test lint types format bench pies pictures learned validity purity low_end early optimizer derivation priors modularity fingerprint steering goodhart agency reporter site notebooks newcomer constraints clean distclean

# An environment copied along with its checkout would still run the old checkout's code: install again when it moved.
ifneq ($(shell cat $(RUN_ENV) 2>/dev/null),$(CURDIR))
.PHONY: $(RUN_ENV)
endif

help: ## this list
	@awk -F ':.*## ' '/^[a-z_]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=python3.12  SUITE=quick  ARGS='…' (passed on to probes, pytest or the benchmark)"

run: $(RUN_ENV) ## environment, then a suite of probes: verdict table and HTML report (again = resume)
	$(BIN)/probes run $(SUITE) --out $(RUNS)/$(SUITE) $(ARGS)

test: $(DEV_ENV) ## environment, then all tests, notebooks included
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(DEV_ENV) ## style and formatting, nothing changed
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(DEV_ENV) ## static types
	$(BIN)/python -m mypy

format: $(DEV_ENV) ## put formatting and import order right
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: $(BENCH_ENV) ## the benchmarks, beside other libraries where there are any
	$(BIN)/python benchmarks/run.py $(ARGS)

pies: $(RUN_ENV) ## what there is to be known in each built-in dataset, written into its card
	$(BIN)/python benchmarks/pies.py $(ARGS)

pictures: $(RUN_ENV) ## the picture of the README, from the tables that `make low_end` keeps
	$(BIN)/python benchmarks/pictures.py $(ARGS)

learned: $(RUN_ENV) ## the world-models of built-in real clips, learned again and kept in their folders
	$(BIN)/python benchmarks/learned_datasets.py

validity: $(RUN_ENV) ## planted heads with known verdicts, 1,000 repeats each: do the probes get them right?
	$(BIN)/probes validate --output docs/validity.md $(ARGS)
	$(BIN)/python benchmarks/validity_tables.py

purity: $(RUN_ENV) ## world-models trained through five objectives, held against the world: tables of docs/purity.md
	$(BIN)/python benchmarks/purity.py $(ARGS)

low_end: $(RUN_ENV) ## do heuristics deepen or stagnate: the suite, tables of docs/low_end.md, numbers for figures
	$(BIN)/python benchmarks/low_end.py $(ARGS)

early: $(RUN_ENV) ## the same suite, and forecasts from the first tenth of its runs: table of docs/probes/early.md
	$(BIN)/python benchmarks/early.py $(ARGS)

agency: $(RUN_ENV) ## which kind of agent plans with a head, and how it optimises: tables of docs/probes/agency.md
	$(BIN)/python benchmarks/agency.py $(ARGS)

optimizer: $(RUN_ENV) ## is message passing an optimizer, and whose: tables of docs/probes/optimizer.md
	$(BIN)/python benchmarks/optimizer.py $(ARGS)

goodhart: $(RUN_ENV) ## selected ever harder by a head's answer: what outputs are truly worth; tables of docs/probes/goodhart.md
	$(BIN)/python benchmarks/goodhart.py $(ARGS)

derivation: $(RUN_ENV) ## do sequence heads memorise their worlds or derive them: tables of docs/probes/derivation.md
	$(BIN)/python benchmarks/derivation.py $(ARGS)

priors: $(RUN_ENV) ## five programs, heads under penalties, heads that grow: tables of docs/probes/priors.md
	$(BIN)/python benchmarks/priors.py $(ARGS)

modularity: $(RUN_ENV) ## does a world-model stay one when actors are trained on it: tables of docs/probes/modularity.md
	$(BIN)/python benchmarks/modularity.py $(ARGS)

fingerprint: $(RUN_ENV) ## can initialisations be named from answers to what was never seen: table of docs/probes/fingerprint.md
	$(BIN)/python benchmarks/fingerprint.py $(ARGS)

steering: $(RUN_ENV) ## do forecasts that feed back move the world towards what is easy: tables of docs/probes/steering.md
	$(BIN)/python benchmarks/steering.py $(ARGS)

reporter: $(RUN_ENV) ## what question heads say where the labeller is fooled: tables of docs/probes/reporter.md
	$(BIN)/python benchmarks/reporter.py $(ARGS)

site: $(DEV_ENV) ## the documentation as a site, in site/; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet $(ARGS)

notebooks: $(DEV_ENV) ## execute the notebooks
	$(BIN)/python -m pytest notebooks $(ARGS)

newcomer: $(DEV_ENV) ## a newcomer's whole path in environments made from nothing: needs a network, takes 6 minutes
	$(BIN)/python -m pytest tests/test_newcomer.py -m slow -o log_cli=true -o log_cli_level=INFO $(ARGS)

constraints: $(DEV_ENV) ## resolve the newest versions of everything and pin them in constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --dry-run --ignore-installed --no-build-isolation \
		--report $(VENV)/resolved.json -e ".[dev,bench,dask,video]"
	$(BIN)/python .ci/pin.py $(VENV)/resolved.json constraints.txt

clean: ## remove caches and build outputs; runs and the environment stay
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## the same, and the environment
	rm -rf $(VENV)

# One environment. The development stamp implies the other, so `make run` after `make test` installs nothing.
# A stamp is written last, so that an interrupted installation is taken up again.
$(RUN_ENV): $(PINS) | $(BIN)/pip
	$(INSTALL) hatchling editables $(FAILED)
	$(INSTALL) --no-build-isolation -e . $(FAILED)
	$(BIN)/python -m worldnets.inference.warm
	@printf '%s\n' "$(CURDIR)" > $@

$(DEV_ENV): $(RUN_ENV)
	$(INSTALL) --no-build-isolation -e ".[dev]" $(FAILED)
	@touch $(RUN_ENV) $@

$(BENCH_ENV): $(DEV_ENV)
	$(INSTALL) --no-build-isolation -e ".[bench]" $(FAILED)
	$(INSTALL) --no-deps pgmax $(FAILED)
	@touch $@

# An environment without pip was never finished: it is made anew.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "worldnets needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing)." >&2; \
		echo "Mend: name a newer one, for example: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@if [ -e "$(VENV)" ]; then echo "$(VENV) has no pip: making it anew."; rm -rf "$(VENV)"; fi; \
	trap 'rm -rf "$(VENV)"; exit 2' INT TERM HUP; \
	said=$$($(PYTHON) -m venv "$(VENV)" 2>&1) || { \
		rm -rf "$(VENV)"; \
		if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
			printf '%s\n' "$$said" "'$(PYTHON) -m venv $(VENV)' failed; nothing was left behind." >&2; \
		else \
			echo "'$(PYTHON)' cannot make an environment, because its ensurepip is missing; nothing was left behind." >&2; \
			echo "Mend: apt install $$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; \
		fi; exit 2; }
