# `make demo` and `make test` need Python 3.11+ and make, nothing else: the set-up is part of them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PLASTICODE_DATA ?= $(wildcard ../shared/data)

.PHONY: setup demo test lint browser clean

setup: $(VENV)/.installed

# uv reads neither PIP_FIND_LINKS nor, when run from outside, the venv: both are handed over.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "plasticode needs Python 3.11 or newer; call make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" UV_COMPILE_BYTECODE=1 VIRTUAL_ENV="$(CURDIR)/$(VENV)" \
		$(BIN)/uv pip install --quiet --constraint constraints.txt -e ".[dev]"
	touch $@

demo: setup
	$(BIN)/plasticode demo

# The report is looked at in a real browser where one can be had; without one that single test says so and is skipped.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		  { apt-get install -qq -y chromium || { apt-get update -qq && apt-get install -qq -y chromium; }; } >/dev/null 2>&1; } || \
		echo "no chromium: the browser test will be skipped"

test: setup browser
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/python -m pytest tests/test_architecture.py

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
