PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
CONTROLS := --method copy --method oracle --method telea --method navier-stokes --method blur --method patchmatch
SHIPPED := --method lama:variant=tiny --method sd-inpaint \
	--method magiceraser --method attentive-eraser --method deocclusion --method mild
TABLE := runs/$(if $(LIMIT),limit-$(LIMIT),entries)

# One thread a worker: more would wait for each other. In the order of tests/conftest.py, which begins with what takes long.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-fast gpu gpu-day setup entries table pages clean

demo: $(READY)  ## build the embedded data set, erase with every method, print the tables, draw a figure
	$(BIN)/mildbench build-dataset
	$(BIN)/mildbench evaluate $(CONTROLS) $(SHIPPED) --task erase-all --task erase-one --limit 24
	$(BIN)/mildbench figure runs/*/erase-one --out figure.png

test: $(READY)  ## lint, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST)

test-fast: $(READY)  ## the tests but those marked slow, for while you work
	$(PYTEST) -m 'not slow'

gpu: $(READY)  ## compare the machine's GPU with its CPU; make test does it with a pretend one
	@$(BIN)/python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "make gpu: no GPU that torch can use")'
	$(BIN)/pytest tests/device

gpu-day: $(READY)  ## check and measure on the GPU, train the shipped weights anew and compare them; call it again to go on
	$(BIN)/python tests/device/day.py

setup: $(READY)  ## the virtual environment, with all that demo and test need

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

entries: $(READY)  ## measure the leaderboard's entries anew, on the embedded data set, and README's table
	rm -rf leaderboard/entries runs/entries
	$(BIN)/mildbench build-dataset
	$(BIN)/mildbench evaluate $(CONTROLS) $(SHIPPED) --task erase-all --task erase-one --task deocclude --out runs/entries
	$(BIN)/mildbench leaderboard add runs/entries
	$(BIN)/mildbench leaderboard readme

table: $(READY)  ## one page of all controls and methods by all metrics that run here, with ranks by each (hours on two cores; LIMIT=8: by 8 samples a task)
	$(BIN)/mildbench build-dataset
	$(BIN)/mildbench evaluate $(CONTROLS) --method mean --method visible --method amodal-oracle $(SHIPPED) \
		--task erase-all --task erase-one --task deocclude $(if $(LIMIT),--limit $(LIMIT)) --out $(TABLE)
	$(BIN)/mildbench report $(TABLE) --out table.html

pages: $(READY)  ## docs/ as a site, site/index.html; its pages on metrics, commands and options are written anew from the code
	$(BIN)/python docs/mkdocs/reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --config-file docs/mkdocs/mkdocs.yml

clean:  ## remove the environment and everything that demo made
	rm -rf .venv data/demo runs
