# Each command makes the environment that it needs in .venv, once for each change of the lock files.

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header

# Every command that counts or compares runs with one thread, as the stored outputs were made.
export OMP_NUM_THREADS := 1

.PHONY: book test lab notebooks sync bench lock clean

# --all: a build of what has changed would not warn again about pages that it has already read.
book: .venv/site
	$(BIN)/jupyter-book build . --all -W --keep-going -n --quiet
	$(BIN)/python book/tools/prune.py _build/html
	@echo "Open this file in a browser: $(CURDIR)/_build/html/index.html"

test: .venv/full book
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

lab: .venv/full
	$(BIN)/jupyter lab notebooks

notebooks: .venv/full
	$(BIN)/python book/tools/notebooks.py $(if $(ALL),--all)

sync: .venv/full
	$(BIN)/jupytext --sync notebooks/*.ipynb

bench: .venv/full
	$(BIN)/python book/tools/bench.py

# torch's own metadata pins the CUDA packages where they are used; without them in the lock, a
# person who installs the CPU build first is spared them.
lock: .venv/pyvenv.cfg
	$(PIP) uv
	$(COMPILE) --extra figures --group site --group run --group test --group dev pyproject.toml \
	  > .venv/lock.txt
	grep -Ev '^(nvidia-|cuda-|triton)' .venv/lock.txt > requirements.txt
	$(COMPILE) --group pyproject.toml:site --constraint requirements.txt > .venv/lock.txt
	cp .venv/lock.txt book/requirements.txt

clean:
	rm -rf _build .venv

.venv/pyvenv.cfg:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and \
	  f'Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}. Try make PYTHON=...')"
	$(PYTHON) -m venv .venv

.venv/site: book/requirements.txt | .venv/pyvenv.cfg
	$(PIP) -r book/requirements.txt
	touch $@

.venv/full: requirements.txt pyproject.toml | .venv/pyvenv.cfg
	$(PIP) -r requirements.txt
	$(PIP) --no-build-isolation --no-deps -e .
	touch $@
