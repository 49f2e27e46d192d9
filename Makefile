# Everything runs from one virtual environment, made on first use. `make demo` is the place to start.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BROWSER := $(VENV)/.browser
SITE := $(VENV)/.site
TORCH := $(shell grep -i '^torch==' constraints.txt)
# Each test of a command is a process of its own. Where bytecode must not be kept, each of them compiles torch anew.
unexport PYTHONDONTWRITEBYTECODE
# make TORCH_INDEX=https://download.pytorch.org/whl/cpu ...   takes PyTorch's small CPU build where the default is the CUDA one
TORCH_INDEX ?=
# What is imported is compiled when it is, and most of what is installed never is.
PIP := --quiet --no-compile
# make PYTHON=/path/to/python3.12 ...   chooses the interpreter of the virtual environment
PYTHON ?=
WORKERS ?= 2

.PHONY: help install demo test coverage lint test-slow test-strangers test-rounding test-browser bench bench-gpu docs clean

help:
	@echo 'make demo          watch the model in the box write, train two small ones, compare them (under four minutes, offline)'
	@echo 'make test          lint and the fast tests'
	@echo 'make coverage      the fast tests with coverage, which takes half as long again'
	@echo 'make lint          ruff, mypy, layers, spelling'
	@echo 'make test-slow     the tests that take minutes'
	@echo 'make test-strangers odd files and habits of strangers (docs/studies/strangers.md), a part of make test'
	@echo 'make test-rounding the fast tests as other processors round: three instruction sets, one and two threads'
	@echo 'make test-browser  the tests that drive a browser'
	@echo 'make bench         speed on this machine, all of it or --only a part (benchmarks/README.md)'
	@echo 'make bench-gpu     the same on an accelerator, in pieces'
	@echo 'make docs          check the documentation (code blocks, links, notebooks) and build its site into site/'
	@echo 'make clean         remove the virtual environment and what the tools left'

install: $(READY)

$(READY): pyproject.toml constraints.txt
	@python='$(PYTHON)'; \
	fits='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; \
	for found in $${python:-python3.11 python3.12 python3.13 python3}; do \
	    if "$$found" -c "$$fits" >/dev/null 2>&1; then good=$$found; break; fi; \
	done; \
	if [ -z "$${good:-}" ]; then \
	    echo "error: unmask needs Python 3.11 or newer with venv; none of '$${python:-python3.11 python3.12 python3.13 python3}' is." >&2; \
	    echo 'fix: install one (Debian: apt install python3.11-venv), or name it: make PYTHON=/path/to/python3' >&2; \
	    exit 2; \
	fi; \
	echo "making $(VENV) with $$good"; \
	"$$good" -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install $(PIP) --index-url $(TORCH_INDEX) '$(TORCH)')
	$(BIN)/python -m pip install $(PIP) -c constraints.txt '$(TORCH)' -e '.[test,dev]'
	@touch $@

demo: $(READY)
	$(BIN)/unmask demo

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell

# Two workers on two cores: one thread each.
test coverage test-slow test-strangers test-rounding test-browser docs: export OMP_NUM_THREADS ?= 1

test: lint
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

coverage: $(READY)
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term

test-slow: $(READY)
	$(BIN)/pytest -m slow

# The tests that hold what docs/studies/strangers.md says; `make test` runs them too.
test-strangers: $(READY)
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m 'strangers and not browser'

# Products round otherwise under other instruction sets and numbers of threads; no test's verdict may hang on that.
# make test-rounding ARGS=tests/sampling   takes a part of the suite.
ROUNDINGS := \
    'ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE' \
    'ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_CBWR=AVX2' \
    'ATEN_CPU_CAPABILITY=avx512 ONEDNN_MAX_CPU_ISA=AVX512_CORE' \
    'OMP_NUM_THREADS=2'
test-rounding: $(READY)
	@failed=; \
	for how in $(ROUNDINGS); do \
	    echo "== $$how"; \
	    env $$how $(BIN)/pytest -n $(WORKERS) --dist loadfile -q $(ARGS) || failed="$$failed [$$how]"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed under:$$failed" >&2; exit 1; fi

# Chromium is the system's (apt install chromium), or playwright's own (.venv/bin/playwright install chromium).
test-browser: $(BROWSER)
	$(BIN)/pytest -m browser

$(BROWSER): $(READY)
	$(BIN)/python -m pip install $(PIP) -c constraints.txt -e '.[browser]'
	@touch $@

bench: $(READY)
	$(BIN)/python -m benchmarks.speed $(ARGS)

bench-gpu: $(READY)
	$(BIN)/python -m benchmarks.speed.gpu $(ARGS)

# Strict: a link or an anchor that leads nowhere ends it. Needs no network once $(SITE) is there.
docs: $(SITE)
	$(BIN)/pytest tests/test_readme.py tests/docs -m 'not browser and not gpu'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo 'open site/index.html'

$(SITE): $(READY)
	$(BIN)/python -m pip install $(PIP) -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis site .coverage .coverage.* htmlcov dist
