PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test setup entries clean

demo: $(READY)  ## build the embedded data set, erase with the controls, print the tables
	$(BIN)/mildbench build-dataset
	$(BIN)/mildbench evaluate --method telea --method navier-stokes --method copy --method oracle --task erase-all --task erase-one

test: $(READY)  ## lint, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto # a thread a worker: more would wait for each other

setup: $(READY)  ## the virtual environment, with all that demo and test need

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

entries: $(READY)  ## measure the leaderboard's controls anew, on the embedded data set
	rm -rf leaderboard/entries runs/entries
	$(BIN)/mildbench build-dataset
	$(BIN)/mildbench evaluate --method copy --method oracle --method telea --method navier-stokes --task erase-all --task erase-one --task deocclude --out runs/entries
	$(BIN)/mildbench leaderboard add runs/entries

clean:  ## remove the environment and everything that demo made
	rm -rf .venv data/demo runs
