# `make` lists what can be made. Everything lives in .venv; only Python (>= 3.11) has to be there before.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
COMPLETE := $(VENV)/.complete
CONSTRAINTS := constraints.txt
EXTRAS := dev,docs,minilm
# What only tests need. The demo adapts to what is installed, so it takes no more than the extras above.
MORE_EXTRAS := search,map,clients

# What the demo adapts to, for how long, and where its results go.
DEMO_DOCS ?= python:
DEMO_OUT ?= demo/python
DEMO_OPTIONS ?= --minutes 9

# Processes that run tests; each computes with one thread.
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help install demo readme test lint format bench docs clean
.DELETE_ON_ERROR:

help: ## List what can be made
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

install: $(COMPLETE) ## Set up .venv with everything that tests, docs and the demo need

demo: $(INSTALLED) ## Adapt a model to the Python packages on this machine, with proof
	$(BIN)/polyvec adapt "$(DEMO_DOCS)" --out "$(DEMO_OUT)" $(DEMO_OPTIONS)

readme: install ## Put the demo's table and picture into README.md
	$(BIN)/python docs/demo_in_readme.py "$(DEMO_OUT)"

test: lint ## Check style, types, imports between rooms, and run the tests
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false \
		$(BIN)/pytest -n $(WORKERS) --dist loadfile $(TEST_OPTIONS)

lint: install ## Check style, types and imports between rooms only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Put the code into the one style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: install ## Measure polyvec beside its peers (benchmarks/)
	$(BIN)/pip install --constraint $(CONSTRAINTS) --editable '.[bench]'
	@for script in $(wildcard benchmarks/*.py); do echo "$$script"; $(BIN)/python "$$script" || exit 1; done

docs: install ## Make the pages of methods from evidence/, and build the site into site/
	$(BIN)/python docs/methods_from_evidence.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## Remove what was built; .venv and the demo's results stay
	rm -rf site build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# torch first and alone, so that pip takes a CPU build of just this version where it is offered one.
$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "polyvec needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1);" \
			"name another: make install PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; install its venv module" \
			"(Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install "$$(grep '^torch==' $(CONSTRAINTS))"
	$(BIN)/pip install --constraint $(CONSTRAINTS) --editable '.[$(EXTRAS)]'
	@touch $@

$(COMPLETE): $(INSTALLED)
	$(BIN)/pip install --constraint $(CONSTRAINTS) --editable '.[$(MORE_EXTRAS)]'
	@touch $@
