# make demo   simulate, train, pick and score; a few minutes on two cores
# make test   ruff, mypy and the tests
#
# Both make their own environment in .venv first. Which build of torch: PyPI's by default; for another,
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu      (or .../cu126, ...)
# To change the build later, run make clean first.

PYTHON ?= python3.11
TORCH_INDEX ?=
PYTEST_ARGS ?=
DEMO ?= outputs/demo

BIN := .venv/bin
STAMP := .venv/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install -c constraints.txt
export TORCH_INDEX

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-slow test-long lint clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(PIP) -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@mkdir -p $(DEMO) && rm -rf $(DEMO)/picks && touch $(DEMO)/started
	$(BIN)/drpnet simulate trpv1 --out $(DEMO)/test micrographs=4 seed=2019
	$(BIN)/python train.py experiment=trpv1_fcrn dataset=simulated_trpv1 hydra.run.dir=$(DEMO)/fcrn \
	    trainer.max_epochs=6 module.optimizer.lr=0.003
	$(BIN)/python train.py experiment=trpv1_classifier dataset=simulated_trpv1 \
	    fcrn_weights=$(DEMO)/fcrn/weights.safetensors hydra.run.dir=$(DEMO)/classifier trainer.max_epochs=4
	$(BIN)/python pick.py micrographs=$(DEMO)/test/micrographs out=$(DEMO)/picks particle_diameter=173 \
	    weights=$(DEMO)/classifier/weights.safetensors
	$(BIN)/drpnet evaluate $(DEMO)/picks $(DEMO)/test/particles.star --diameter-px 47 --json $(DEMO)/metrics.json
	$(BIN)/drpnet report $(DEMO)/picks --out $(DEMO)/report.html --truth $(DEMO)/test/particles.star \
	    --diameter-px 47 --run $(DEMO)/fcrn
	$(BIN)/python -m experiments.demo $(DEMO)

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/mypy

test: lint
	$(BIN)/pytest $(PYTEST_ARGS)

test-slow: $(STAMP)
	$(BIN)/pytest -m 'slow and not gpu' $(PYTEST_ARGS)

test-long: $(STAMP)
	$(BIN)/pytest -m long $(PYTEST_ARGS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find conf drpnet tests -name __pycache__ -type d -prune -exec rm -rf {} +
