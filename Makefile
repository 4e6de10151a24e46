# Every target does all of its own set-up. CONTRIBUTING.md gives the raw command of each.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh
BIN := .venv/bin

# The stamp changes only when what is installed has to change, so that a second run starts at once.
INSTALLED := .venv/.installed

# Tests share the cores, a file at a time. Integration tests mostly wait, for sessions, leases and brokers: two at a time on any
# machine, apart from the pure ones, which never wait.
SPREAD := --dist loadfile --no-loadscope-reorder
UNIT := $(BIN)/python -m pytest -m "not integration" --numprocesses auto $(SPREAD)

.PHONY: help setup tools demo test unit check format generate soak bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-9s %s\n", $$1, $$2 }'

$(INSTALLED): requirements-dev.lock pyproject.toml tools/setup.sh
	@tools/setup.sh

setup: $(INSTALLED) ## create .venv from the locked requirements and install the project into it

tools: ## install what tests need beyond Python: Redis, Prometheus, Alertmanager, Chromium, Java, Kafka's jars
	@tools/install_tools.sh
	@tools/kafka.sh

demo: setup ## play a campaign day on http://127.0.0.1 (DAY=real plays real orders)
	@exec $(BIN)/warroom demo $(if $(DAY),--day $(DAY))

test: setup tools check ## every check and every test, integration included
ifdef PYTEST_ARGS
	WARROOM_NO_SKIPS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)
else
	WARROOM_NO_SKIPS=1 $(UNIT)
	WARROOM_NO_SKIPS=1 $(BIN)/python -m pytest -m integration --numprocesses 2 $(SPREAD)
endif

unit: setup ## the tests that need no tool beyond Python
	$(UNIT) $(PYTEST_ARGS)

check: setup ## format, lint, types, the import rule, drift of generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tools.generate --check

format: setup ## let ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: setup ## rewrite every generated file
	$(BIN)/python -m tools.generate

soak: setup tools ## kill, stop and starve workers for long, and compare with the direct engine
	$(BIN)/python -m tests.soak.kills --kills 10 --json

bench: setup tools ## measure throughput against stock Faust and a bare loop on the same broker
	$(BIN)/python -m benchmarks.throughput --json

lock: setup ## pin the newest versions that pyproject.toml allows
	@tools/lock.sh

clean: ## remove what set-up and runs made
	rm -rf .venv .cache .warroom .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
