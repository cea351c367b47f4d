# The names that people expect. Everything sets itself up; the second run starts at once.
#   make demo ARGS="--keep"         options of the demo, see make demo ARGS=--help
#   make test TIERS="unit node"     some tiers; TIERS=all: everything. CONTEXT=NAME: your cluster instead of a node of ours
#   make test TIERS=scale           the figures at scale: hundreds of objects on a real control plane
#   make test TIERS=engine TORCH_WHEEL=FOLDER      the real vLLM with torch for CPUs from there
TIERS ?= unit control_plane node
CONTEXT ?=
TORCH_WHEEL ?=
ARGS ?=
PYTHON := .venv/bin/python

.PHONY: help demo test lint e2e scan sbom bench generate lock clean setup

help:  ## say what there is
	@grep -E '^[a-z0-9]+:.*##' Makefile | sed -E 's/^([a-z0-9]+):[^#]*## /  make \1\t/' | expand -t 20

setup:  ## make .venv
	@tests/setup.sh

demo: setup  ## a real trace on a real cluster, about five minutes (ARGS="--keep", "--context NAME")
	@$(PYTHON) -m tests.demo $(ARGS)

test: setup  ## the tests (TIERS=all: with the thorough stories and the figures at scale)
	@$(PYTHON) -m tests.run $(TIERS) $(if $(CONTEXT),--context $(CONTEXT)) $(if $(TORCH_WHEEL),--torch-wheel $(TORCH_WHEEL))

lint: setup  ## ruff, mypy --strict, import contracts
	@$(PYTHON) -m tests.run lint

e2e: setup  ## the stories on a whole node alone
	@$(PYTHON) -m tests.run e2e $(if $(CONTEXT),--context $(CONTEXT))

scan: setup  ## kubeconform, kube-score and checkov on what helm installs and on what the operator makes
	@$(PYTHON) -m tests.run scan

sbom: setup  ## the images' bills of materials (CycloneDX) into build-out/sbom
	@$(PYTHON) -m tests.cluster.archives build-out/sbom

bench: setup  ## our autoscaler beside others on real load, simulated: minutes (ARGS="--full": all of them)
	@$(PYTHON) -m tests.bench.autoscalers $(ARGS)

generate: setup  ## write what is derived from the sources anew
	$(PYTHON) operator/generate.py
	$(PYTHON) -m charts.generate
	$(PYTHON) -m tests.control_plane.attacks.table

LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"
LOCK_IMAGE := $(LOCK) --no-annotate --constraint tests/requirements.lock

LOCK_VLLM := uv pip compile --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make lock"

lock:  ## pin Python packages anew (needs uv); images get the versions that are tested
	$(LOCK) pyproject.toml tests/build-requirements.in --extra lint --extra test --extra demo --extra sim --upgrade -o tests/requirements.lock
	$(LOCK_IMAGE) pyproject.toml -o images/operator/requirements.lock
	$(LOCK_IMAGE) images/operator/build-requirements.in -o images/operator/build-requirements.lock
	$(LOCK_IMAGE) images/sim-engine/pyproject.toml -o images/sim-engine/requirements.lock
	$(LOCK_VLLM) --override images/vllm-cpu/overrides.txt images/vllm-cpu/requirements.in -o images/vllm-cpu/requirements.lock
	$(LOCK_VLLM) tests/scan/checkov.in -o tests/scan/checkov.lock
	for version in 0.11.2 0.15.1 0.28.0; do \
	  $(LOCK_VLLM) --no-deps tests/engine/parsers/$$version.in -o tests/engine/parsers/$$version.lock || exit 1; done

clean:  ## remove .venv and caches of this checkout; images and binaries stay in ~/.cache/llmfleet
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
