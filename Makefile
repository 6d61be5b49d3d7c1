# Two commands matter: `make up` runs the product, `make test` proves it. All logic lives in tools/ and manage.py.
SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
export VENV
RUN := "$(VENV)/bin/python"
# Workers of pytest; more than the cores only slows the browser tests down.
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup up test check lint faults explore bench requirements

help:  ## Show the targets
	@sed -n 's/^\([a-z]*\):.*##/\1 -/p' Makefile

setup:  ## Install what `make up` needs; quick when there is nothing to do
	@"$(PYTHON)" tools/setup.py run

up:  ## Run everything: PostgreSQL, Redis, web, workers, beat, enforcer, simulator
	@"$(PYTHON)" tools/setup.py run && exec $(RUN) manage.py up

test:  ## Install, then run every check and every test (ARGS="-k name" narrows pytest)
	@"$(PYTHON)" tools/setup.py test
	@$(MAKE) --no-print-directory lint
	@$(RUN) -m pytest -n $(WORKERS) $(ARGS)

check:  ## Formatting, lint, types, import layers, migrations
	@"$(PYTHON)" tools/setup.py dev
	@$(MAKE) --no-print-directory lint

lint:
	@$(RUN) -m ruff format --check --quiet .
	@$(RUN) -m ruff check --quiet .
	@$(RUN) -m mypy
	@$(RUN) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"
	@$(RUN) -W ignore manage.py makemigrations --check --dry-run --settings tests.settings

faults:  ## Run the fault plan alone
	@"$(PYTHON)" tools/setup.py dev
	@$(RUN) -m pytest -m faults $(ARGS)

explore:  ## Run the property tests alone, with many new examples
	@"$(PYTHON)" tools/setup.py dev
	@HYPOTHESIS_PROFILE=explore $(RUN) -m pytest -n $(WORKERS) --timeout 900 \
		$$(grep -rl "from hypothesis" tests --include="test_*.py") $(ARGS)

bench:  ## Run all benchmarks, or one: make bench NAME=sync
	@"$(PYTHON)" tools/setup.py dev
	@$(RUN) -m bench $(NAME)

requirements:  ## Compile the pinned requirements from pyproject.toml
	@"$(PYTHON)" tools/setup.py dev
	@$(RUN) tools/compile_requirements.py
