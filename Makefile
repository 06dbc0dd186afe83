# make demo and make test set up all they need: python3 (3.11 or newer) and make are enough.
# An active virtual environment or conda environment is used; otherwise .venv is made.

ifneq ($(VIRTUAL_ENV),)
ENVIRONMENT := $(VIRTUAL_ENV)
else ifneq ($(filter-out base,$(CONDA_DEFAULT_ENV)),)
ENVIRONMENT := $(CONDA_PREFIX)
else
ENVIRONMENT := $(CURDIR)/.venv
endif
BIN := $(ENVIRONMENT)/bin
STAMP := $(ENVIRONMENT)/.seq2exp-setup
export PATH := $(BIN):$(PATH)

CORES ?= all
DEMO := --cores $(CORES) --configfile demo/config.yaml

.PHONY: help setup demo demo-control demo-paper demo-distance demo-gated test test-cluster test-slow lint format lock clean

help:
	@echo "make demo       simulate a small genome, run the whole workflow on it, print the summary"
	@echo "make demo-control  train the demo's model with and without distal bases, three seeds each"
	@echo "make demo-paper train every model and ablation for seconds, draw the paper's tables and figures"
	@echo "make demo-distance  train with and without distal bases, and on random masks, where these matter"
	@echo "make demo-gated train a model whose mask decides, beside soft ones (GENOME=1)"
	@echo "make test       run the tests"
	@echo "make test-cluster  run the quick tests on a real Slurm (Debian, root; skipped elsewhere)"
	@echo "make test-slow  run the tests that take minutes"
	@echo "make lint       check style, types and the workflow"
	@echo "make format     put files into the project's format"
	@echo "make setup      only set up the environment ($(ENVIRONMENT))"
	@echo "make lock       compile requirements.lock anew from pyproject.toml and constraints.txt"
	@echo "make clean      delete the demo's results and all caches"

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock envs/setup.sh
	@envs/setup.sh "$(ENVIRONMENT)"
	@touch "$@"

demo: setup
	python -m seq2exp.simulate results/demo/simulated
	snakemake $(DEMO) --quiet rules
	snakemake $(DEMO) --quiet all --report results/demo/report.html
	seq2exp summary results/demo/summary.json

demo-control: setup
	python -m seq2exp.simulate results/demo/simulated
	snakemake $(DEMO) demo/control.yaml --quiet rules
	seq2exp summary results/demo/summary.json

demo-paper: setup
	python -m seq2exp.simulate results/demo/simulated
	snakemake --cores $(CORES) --configfile demo/paper.yaml --quiet rules -- paper

# Enhancers 700 to 1,900 bp from the TSS, which carry most of the variance; 400 test genes.
DISTANCE := --window 4000 --element-nearest 0.35 --element-reach 0.95 \
	--promoter-share 0.3 --distal-share 0.62 --genes 2400 --chromosome-weights 3 3 3 1 2

demo-distance: setup
	python -m seq2exp.simulate results/demo-distance/simulated $(DISTANCE)
	snakemake --cores $(CORES) --configfile demo/distance.yaml --quiet rules -- paper

GENOME ?= 1

demo-gated: setup
	python -m seq2exp.simulate results/demo-gated/simulated --seed $(GENOME) --genes 1000 \
	    --chromosome-weights 2 2 2 1 3
	snakemake --cores $(CORES) --configfile demo/gated.yaml --quiet rules

# A worker a core, each with one thread: idle OpenMP threads would take the cores from one another.
test: export OMP_NUM_THREADS := 1
test: export OMP_WAIT_POLICY := passive
test: setup
	pytest -q -n auto --maxprocesses 4 --dist loadfile -m "not slow and not gpu and not cluster"

test-cluster: setup
	if python -m tests.cluster.slurm; then pytest -q -rs -m "cluster and not slow" tests/cluster; fi

test-slow: setup
	pytest -q -m "slow or gpu or cluster"

lint: setup
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile rules
	snakemake --lint

format: setup
	ruff check --fix .
	ruff format .
	snakefmt Snakefile rules

# Without hashes: the CPU and the CUDA builds of torch have different ones.
# Triton has wheels for Linux only.
lock: setup
	pip-compile --quiet --extra dev --extra enformer --constraint constraints.txt --strip-extras --no-header \
	    --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    --upgrade --output-file requirements.lock pyproject.toml
	sed -i.old -e 's/^\(torch==[0-9.]*\)+[a-z0-9]*/\1/' \
	    -e 's/^triton==.*/& ; platform_system == "Linux"/' -e '/^#/d' -e '/^$$/d' requirements.lock
	rm requirements.lock.old

clean:
	rm -rf results/demo results/demo-paper results/demo-distance results/demo-gated .snakemake .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
