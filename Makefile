# `make` alone says what there is. Each command sets up what it needs in .venv, from a machine that has Python alone.

VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/ready
UV := $(VENV)/bin/uv

# The first Python of a version that all our dependencies have packages for; PYTHON=... chooses another.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)

.PHONY: help demo train-demo test test-faults test-engines test-dataflow test-object-stores test-pytorch lint types format lock clean test-browser screenshots

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: $(READY)  ## make a mini-Kinetics, run the job on it, read a batch, draw a picture (demo/)
	$(RUN) -m beam_pipeline demo

train-demo: $(READY)  ## teach a slim I3D to tell motions apart, from frames and from flow (train-demo/): twenty minutes
	$(RUN) -m examples.i3d.demo

test: $(READY)  ## run all tests, two at a time
	$(RUN) -m pytest -n 2 --dist loadfile

# What these tests need beside .venv; another folder keeps it from checkout to checkout: make ENGINES=~/.cache/engines ...
ENGINES := .engines

test-faults: $(READY)  ## kill drivers, decoders and Dask workers 50 times, a run over a thousand real clips three times: an hour
	KINETICS_FAULTS=1 KINETICS_KILLS=50 KINETICS_ENGINES=$(ENGINES) $(RUN) -m pytest -s --durations=0 \
		tests/beam_pipeline/test_faults.py tests/beam_pipeline/test_faults_at_length.py \
		tests/engines/test_dask.py::test_workers_killed_at_random_moments_lose_nothing

test-engines: $(READY)  ## run the job on Prism, Dask, Flink and Spark, which it gets into .engines/ (Go, Java and Maven if there)
	KINETICS_ENGINES=$(ENGINES) $(RUN) -m pytest tests/engines

DATAFLOW := $(ENGINES)/dataflow

test-dataflow: $(DATAFLOW)/ready  ## submit the job to a Dataflow of this machine, and do it as its workers would: five minutes
	KINETICS_WORKER_PYTHON=$(abspath $(DATAFLOW))/worker/bin/python $(DATAFLOW)/driver/bin/python -m pytest tests/dataflow

$(DATAFLOW)/ready: $(UV) docker/worker/requirements.txt tests/dataflow/requirements.txt
	@rm -rf $(DATAFLOW)
	@python3.11 -m venv --without-pip $(DATAFLOW)/worker
	@python3.11 -m venv --without-pip $(DATAFLOW)/driver
	@$(UV) pip install --quiet --python $(DATAFLOW)/worker --require-hashes --requirement docker/worker/requirements.txt
	@$(UV) pip install --quiet --python $(DATAFLOW)/driver --require-hashes --requirement docker/worker/requirements.txt
	@$(UV) pip install --quiet --python $(DATAFLOW)/driver --requirement tests/dataflow/requirements.txt
	@touch $@

STORES := $(ENGINES)/object_stores

test-object-stores: $(STORES)/ready  ## run the job on gs:// and s3:// emulated on this machine, and faulty: seven minutes
	$(STORES)/bin/python -m pytest -n 2 tests/object_stores

$(STORES)/ready: $(UV) requirements.lock tests/object_stores/requirements.txt
	@rm -rf $(STORES)
	@$(RUN) -m venv --without-pip $(STORES)
	@$(RUN) -c "import sysconfig; print(sysconfig.get_path('purelib'))" > \
		"$$($(STORES)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/job.pth"
	@$(UV) pip install --quiet --python $(STORES) --constraint requirements.lock \
		--requirement tests/object_stores/requirements.txt
	@touch $@

PYTORCH := $(ENGINES)/pytorch

test-pytorch: $(PYTORCH)/ready  ## run the PyTorch example, for which it installs PyTorch: 5.5 GB with its CUDA libraries
	$(PYTORCH)/bin/python -m pytest tests/examples/test_pytorch_loop.py

$(PYTORCH)/ready: $(UV) requirements.lock
	@rm -rf $(PYTORCH)
	@$(RUN) -m venv --without-pip $(PYTORCH)
	@$(RUN) -c "import sysconfig; print(sysconfig.get_path('purelib'))" > \
		"$$($(PYTORCH)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/job.pth"
	@$(UV) pip install --quiet --python $(PYTORCH) --constraint requirements.lock torch
	@touch $@

test-browser: $(READY)  ## look at the page of inspect in a real Chromium, as make test does too where there is one
	@$(RUN) -c "from tests.beam_pipeline.inspecting import browsing; browsing.CHROMIUM or exit(browsing.NO_CHROMIUM)"
	$(RUN) -m pytest tests/beam_pipeline/inspecting

screenshots: demo  ## draw the pictures of docs/looking.md from the demo
	$(RUN) -m tests.beam_pipeline.inspecting.screenshots demo/demo/1.0.0 docs/images/inspect

lint: $(READY)  ## check format and style
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check

types: $(READY)  ## check types
	$(VENV)/bin/mypy

format: $(READY)  ## format the code and mend what can be mended
	$(VENV)/bin/ruff format
	$(VENV)/bin/ruff check --fix

lock: $(UV)  ## resolve the dependencies anew into requirements.lock
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --extra dev --generate-hashes --no-header \
		pyproject.toml --output-file requirements.lock
	$(VENV)/bin/uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --extra dataflow \
		--excludes docker/worker/excludes.txt --constraint requirements.lock --generate-hashes --no-header \
		pyproject.toml --output-file docker/worker/requirements.txt

$(UV): $(READY)
	@$(RUN) -m pip install --quiet --disable-pip-version-check uv
	@touch $@

clean:  ## remove what demo, tests and set-up made
	rm -rf $(VENV) .engines demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): requirements.txt requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "needs Python 3.11, 3.12 or 3.13; give its path: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Setting up $(VENV) for the first time: a few minutes, 3.5 GB"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check uv  # which takes a tenth of pip's time
	@$(UV) pip install --quiet --python $(VENV) --requirement requirements.txt
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
