# Every target does the set-up it needs by itself; nothing but Python >= 3.11 and make is expected.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := serve,cpu,vision,speech,faces,forecast,language,postgres,evaluate,bench
# OpenVINO speeds models up where it installs; the hub runs without it.
OPTIONAL := openvino

# Real media and weights, where they lie beside the checkout; everything works without them.
ASSETS := $(wildcard ../shared/assets)
ifneq ($(ASSETS),)
export AIHUB_MODEL_MIRROR ?= $(abspath $(ASSETS))
export AIHUB_TEST_MEDIA ?= $(abspath $(ASSETS)/media)
export AIHUB_TRAINING_DATA ?= $(abspath $(ASSETS)/training)
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench fuzz recipe recipetest docs clean format

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ready ## Make .venv with all that demo, tests and checks need

$(VENV)/.ready: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (set PYTHON=...)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (about two minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1" 2>&1 | { grep -v '^WARNING: Location' || true; }
	@set -o pipefail; $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]' --group test --group check 2>&1 | { grep -v '^WARNING: Location' || true; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(OPTIONAL)]' >/dev/null 2>&1 || echo "OpenVINO does not install here; ONNX Runtime alone is used"
	@touch $@

demo: setup ## Watch four simulated cameras being analysed, with alarms
	@$(BIN)/aihub demo

test: setup ## Run all tests (those that need what is not here say so and skip)
	$(BIN)/python -m pytest

check: setup ## Lint, types, architecture, sizes
	$(BIN)/ruff format --check aihub tests tools benchmarks models
	$(BIN)/ruff check aihub tests tools benchmarks models
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/check_sizes.py aihub tools benchmarks models
	$(BIN)/python -m tools.catalogue --check

docs: setup ## Run every algorithm and write docs/catalogue anew (needs media and weights)
	$(BIN)/python -m tools.catalogue

format: setup ## Format and fix what can be fixed
	$(BIN)/ruff format aihub tests tools benchmarks models
	$(BIN)/ruff check --fix aihub tests tools benchmarks models

bench: setup ## Measure a selection of every suite, about ten minutes, and open the report
	$(BIN)/aihub bench run all --quick --out bench --open

SECONDS := 600
fuzz: setup ## Look for inputs that break a decoder: SECONDS (600) for each, or TARGET=name alone
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group fuzz
	@set -e; for target in $(or $(TARGET),$$($(BIN)/python -m tests.fuzz)); do $(BIN)/python -m tests.fuzz $$target --seconds $(SECONDS); done

# Training wants torch (several GB): an environment of its own, which serving never sees.
RECIPES := .venv-recipes
$(RECIPES)/.ready: pyproject.toml
	@test -x $(RECIPES)/bin/python || $(PYTHON) -m venv $(RECIPES)
	@echo "installing torch into $(RECIPES) (some minutes the first time) ..."
	@set -o pipefail; $(RECIPES)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[cpu,recipes]' pytest pytest-timeout pytest-asyncio hypothesis 2>&1 | { grep -v '^WARNING: Location' || true; }
	@touch $@

NAME ?= fire-smoke
recipe: $(RECIPES)/.ready ## Make one of our own models again from its data: NAME=fire-smoke (takes an hour)
	$(RECIPES)/bin/python -m models.recipes $(NAME) --data $(AIHUB_TRAINING_DATA) --weights $(AIHUB_MODEL_MIRROR) --out build/$(NAME)

recipetest: $(RECIPES)/.ready ## Test the recipes: two steps on eight pictures
	$(RECIPES)/bin/python -m pytest -p no:cacheprovider tests/recipes

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(RECIPES) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
