# Two commands do everything on a fresh machine with Python 3.11 or newer:
#   make demo   installs, simulates, runs the whole path in process, leaves annotations, plots and a summary
#   make test   installs what the tests need, runs linters, types, import rules and all tests
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo-output

.PHONY: demo test check lint format tests chaos clean

demo: $(VENV)/.run
	$(BIN)/broker-plugin demo --to $(DEMO)

test: lint tests

check: test

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

tests: $(VENV)/.test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# The long version of every attack on the exactly-once claim; an hour or more.
chaos: $(VENV)/.test
	BROKER_PLUGIN_REQUIRE_KAFKA=1 $(BIN)/python -m pytest tests/chaos -m "long or not long" --timeout 7200 $(PYTEST_ARGS)

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The constraints pin what the project was tested with; the stamp files make a second run start at once.
$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
