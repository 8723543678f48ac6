# Everything a person runs, by name. `make` lists it.
.DEFAULT_GOAL := help
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3,$(if $(shell python$(v) -c pass 2>/dev/null && echo yes),python$(v))))
TORCH := $(shell grep '^torch==' requirements.lock)
BIN := $(CURDIR)/.venv/bin
S ?= laptop
export PATH := $(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help setup repro smoke paper stage test lint lab verify bench timings readme

help:  ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/ready  ## a virtual environment from the lock, and the input data
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(0 if v in ((3, 11), (3, 12)) else f'found Python {v[0]}.{v[1]}, expected 3.11 or 3.12: make PYTHON=/path/to/python3.11')"
	@echo "Setting up .venv from requirements.lock (about 4 minutes, 3 GB on disk)"
	@$(PYTHON) -m venv .venv
	@pip install -qq --no-index --no-deps $(TORCH) 2>/dev/null || \
	  { pip install -qq uv && uv pip install -qq --python $(BIN)/python --torch-backend=auto $(TORCH) 2>/dev/null; } || \
	  pip install -qq $(TORCH)
	@pip install -qq --no-deps -r requirements.lock
	@pip install -qq --no-deps --no-build-isolation -e .
	@dvc pull -q data.dvc
	@touch $@

repro: setup  ## regenerate every result: smoke as a preflight, then laptop
	@python -m rephase.publish.estimate
	@dvc repro
	@echo "All results: results/README.md"

smoke: setup  ## the whole pipeline at the smallest scale
	@dvc repro claims@smoke baselines_pages@smoke exit_wave_cnn_pages@smoke neural_cde_results@smoke neural_cde_pages@smoke experimental@smoke own_data@smoke
	@echo "Results: results/smoke"

paper: setup  ## one paper: make paper P=baselines [S=smoke]
	@dvc repro $(patsubst %,%@$(S),$(shell sed -nE 's/^  ($(P)[a-z_]*):$$/\1/p' dvc.yaml))

stage:  ## one stage without DVC, where only the library is installed: make stage N=baselines/4_dqe S=gpu ARGS="..."
	@python -m rephase.publish.canonical && python -m rephase.publish.runner $(N) $(S) $(ARGS)

test: setup  ## the tests
	@python -m pytest tests

lint: setup  ## style of code and notebooks
	@ruff check . && ruff format --check .

lab: setup  ## JupyterLab on the notebooks: make lab [ARGS=--no-browser]
	@IPYTHONDIR=$$(python -m rephase.publish.kernel) jupyter lab --notebook-dir=notebooks \
	  --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate $(ARGS)

verify: setup  ## smoke twice in clean clones, compared byte by byte
	@python -m rephase.publish.verify

bench: setup  ## the project's figures of speed and memory, side by side
	@for b in multislice ssb pipeline training_set exit_wave sequence sequence_solver sequence_methods; do python bench/$$b.py || exit 1; done

timings: setup  ## publish this machine's stage times as the reference
	@cp build/timings.json results/timings.json

readme: setup  ## put the claims table of results/ into README.md
	@python -m rephase.publish.ledger front
