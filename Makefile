PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test setup clean

demo: $(READY)  ## build the embedded data set, erase with the controls, print the tables
	$(BIN)/mildbench build-dataset
	$(BIN)/mildbench evaluate --method telea --method navier-stokes --method copy --method oracle --task erase-all --task erase-one

test: $(READY)  ## lint, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto

setup: $(READY)  ## the virtual environment, with all that demo and test need

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:  ## remove the environment and everything that demo made
	rm -rf .venv data/demo runs
