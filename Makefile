# Two commands do everything on a fresh machine with Python 3.11 or newer:
#   make demo   installs, simulates, runs the whole path in process, leaves annotations, plots and a summary
#   make test   installs what the tests need, runs linters, types, import rules and all tests
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo-output
# How many attacks run side by side.
ATTACKS ?= 3

.PHONY: demo test check lint format tests docs chaos bench bench-guard audit image-check clean

demo: $(VENV)/.run
	$(BIN)/broker-plugin demo --to $(DEMO)

test: lint tests

check: test

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The attacks wait more than they work, so they run side by side, each process with a Kafka of its own.
tests: $(VENV)/.test
	$(BIN)/python -m pytest --ignore tests/chaos $(PYTEST_ARGS)
	$(BIN)/python -m pytest tests/chaos -n $(ATTACKS) --dist worksteal --timeout 900 $(PYTEST_ARGS)

# The documentation, into site/; needs no network.
docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# The long version of every attack on the exactly-once claim, two hours or more; the soak alone, since it judges
# the throughput.
chaos: $(VENV)/.test
	BROKER_PLUGIN_REQUIRE_KAFKA=1 $(BIN)/python -m pytest tests/chaos --ignore tests/chaos/test_soak.py \
		-m "long or not long" -n $(ATTACKS) --dist worksteal --timeout 7200 $(PYTEST_ARGS)
	BROKER_PLUGIN_REQUIRE_KAFKA=1 $(BIN)/python -m pytest tests/chaos/test_soak.py -m "long or not long" \
		--timeout 7200 $(PYTEST_ARGS)

# Every stage beside what a user would use instead, into build/benchmarks/; twenty minutes, ten of them end to end.
# make bench BENCH_ARGS=--quick takes some three; --rows, --minutes, --resume: see python -m benchmarks --help.
bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

# Whether a stage has become slower, by its ratio to a library's work in the same run; half a minute.
bench-guard: $(VENV)/.bench
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.guard

# Known vulnerabilities of everything pinned; says so loudly where nobody can be asked, and goes on.
audit: $(VENV)/.test
	$(BIN)/python deploy/audit.py $(AUDIT_ARGS)

# The Dockerfile's steps without an engine, the plugin run from their result, and build/sbom.cdx.json.
image-check: $(VENV)/.test
	$(BIN)/python deploy/check_image.py

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

$(VENV)/.bench: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
