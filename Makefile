# Every target does all its own set-up. Needs GNU make and Python 3.11, 3.12 or 3.13 (those
# that TensorFlow has wheels for); nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SYSTEM ?= restoration
# Processes that share the test files among them; each takes about 2 GiB.
JOBS ?= 2
DEMO_RUN := runs/quickstart/$(SYSTEM)

VERB_restoration := restore
VERB_recognition := recognize
VERB_magnification := magnify
VERB_synthesis := edit
VERB_regeneration := regenerate

# One line a message; TensorFlow's own start-up messages stay out of it.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help demo test test-tfds test-bench lint

help:
	@echo "make demo        train a small restoration model, show its table and pictures, export it"
	@echo "                 (SYSTEM=recognition, magnification, regeneration or synthesis: the same)"
	@echo "make test        run the whole test suite"
	@echo "make test-tfds   run the tests that need the extra [tfds]: Apache Beam, the command tfds"
	@echo "make test-bench  run the tests that need the extra [bench]: PyTorch, which ours is compared with"
	@echo "make lint        check style and format (ruff)"
	@echo "Each sets itself up in $(VENV) first. Another Python: make PYTHON=python3.12 demo"

demo: $(VENV)/installed
	$(BIN)/python training/$(SYSTEM).py \
	    --config training/configs/$(SYSTEM)/quickstart.yaml --out $(DEMO_RUN)
	@echo
	@echo "The run, its checkpoints and logs:  $(DEMO_RUN)/"
	@echo "The table (.md, .csv) and pictures:  $(DEMO_RUN)/evaluation/"
	@echo "What it is, its figures, versions:   $(DEMO_RUN)/summary.json"
	@echo "The exported model:                  savedmodels/$(SYSTEM)/"
	@echo "A photo of yours:                    $(BIN)/tfface $(VERB_$(SYSTEM)) PHOTO -o DIR"

test: $(VENV)/installed
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test-tfds: $(VENV)/tfds/installed
	PYTHONPATH=$(CURDIR)/$(VENV)/tfds $(BIN)/python -m pytest \
	    tests/data/datasets/test_spreading.py tests/data/datasets/test_builders.py

test-bench: $(VENV)/bench/installed
	PYTHONPATH=$(CURDIR)/$(VENV)/bench $(BIN)/python -m pytest \
	    tests/benchmarks/peers tests/benchmarks/test_beside.py

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The stamp is written last, so an interrupted set-up is done again.
$(VENV)/installed: requirements.lock setup.cfg pyproject.toml
	@command -v $(PYTHON) >/dev/null \
	    || { echo "error: $(PYTHON) is not there; tfface needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	    || { echo "error: tfface needs Python 3.11, 3.12 or 3.13 (as TensorFlow does), $(PYTHON) is $$($(PYTHON) --version 2>&1): make PYTHON=python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; a few minutes, mostly TensorFlow's download)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Apache Beam asks for older versions of some packages than everything else runs with. They lie in a
# folder of their own, which comes first on the path of the tests that need them.
$(VENV)/tfds/installed: requirements-tfds.lock $(VENV)/installed
	rm -rf $(VENV)/tfds
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/tfds \
	    -r requirements-tfds.lock
	@touch $@

# PyTorch lies in a folder of its own as well: nothing but the benchmarks needs it. Its own index has
# the build for processors alone, without CUDA's libraries; few retries, since pip may have been told
# of another place that has it.
$(VENV)/bench/installed: requirements-bench.lock $(VENV)/installed
	rm -rf $(VENV)/bench
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 1 --no-deps \
	    --extra-index-url https://download.pytorch.org/whl/cpu --target $(VENV)/bench \
	    -r requirements-bench.lock
	@touch $@
