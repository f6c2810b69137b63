# The four commands a newcomer meets: make run, make test, make check, make bench.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: run test check bench docs screenshots format clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The build hook of the package builds the front end; no Node is needed on the machine.
$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt hatch_build.py $(shell find app/ui/canvas/frontend -path '*/node_modules' -prune -o -type f -print 2>/dev/null)
	@echo "Installing Ragloom into $(VENV) (first time: a few minutes) …"
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install --quiet -c constraints.txt -e ".[test]"
	@touch $@

run: $(VENV)/.installed
	$(BIN)/ragloom serve

# Four workers also on two cores, for tests wait now and then; files in the order of tests/conftest.py.
# The many processes that they start find bytecode, also where the environment keeps Python from
# writing it.
test: $(VENV)/.installed-test
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python hatch_build.py --check

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks

docs: $(VENV)/.installed-test
	$(BIN)/python docs/generate.py

screenshots: $(VENV)/.installed-test
	$(BIN)/python docs/screenshots.py

format: $(VENV)/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf dist build app/ui/canvas/dist .pytest_cache .mypy_cache .ruff_cache
