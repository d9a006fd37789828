# `make` alone says what there is. Each command sets up what it needs in .venv, from a machine that has Python alone.

VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/ready

# The first Python of a version that all our dependencies have packages for; PYTHON=... chooses another.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)

.PHONY: help demo train-demo test test-faults test-engines test-dataflow test-object-stores lint types format lock clean test-browser screenshots

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: $(READY)  ## make a mini-Kinetics, run the job on it, read a batch, draw a picture (demo/)
	$(RUN) -m beam_pipeline demo

train-demo: $(READY)  ## teach a slim I3D to tell motions apart, from frames and from flow (train-demo/): twenty minutes
	$(RUN) -m examples.i3d.demo

test: $(READY)  ## run all tests
	$(RUN) -m pytest

test-faults: $(READY)  ## kill the job 50 times, and a run over a thousand real clips three times: twenty minutes
	KINETICS_FAULTS=1 KINETICS_KILLS=50 $(RUN) -m pytest -s --durations=0 \
		tests/beam_pipeline/test_faults.py tests/beam_pipeline/test_faults_at_length.py

test-engines: $(READY)  ## run the job on Prism, Dask, Flink and Spark, which it gets into .engines/ (Go, Java and Maven if there)
	KINETICS_ENGINES=.engines $(RUN) -m pytest tests/engines

DATAFLOW := .engines/dataflow

test-dataflow: $(DATAFLOW)/ready  ## submit the job to a Dataflow of this machine, and do it as its workers would: five minutes
	KINETICS_WORKER_PYTHON=$(abspath $(DATAFLOW))/worker/bin/python $(DATAFLOW)/driver/bin/python -m pytest tests/dataflow

$(DATAFLOW)/ready: docker/worker/requirements.txt tests/dataflow/requirements.txt
	@rm -rf $(DATAFLOW)
	@python3.11 -m venv $(DATAFLOW)/worker
	@$(DATAFLOW)/worker/bin/pip install --quiet --require-hashes --requirement docker/worker/requirements.txt
	@python3.11 -m venv $(DATAFLOW)/driver
	@$(DATAFLOW)/driver/bin/pip install --quiet --require-hashes --requirement docker/worker/requirements.txt
	@$(DATAFLOW)/driver/bin/pip install --quiet --requirement tests/dataflow/requirements.txt
	@touch $@

STORES := .engines/object_stores

test-object-stores: $(STORES)/ready  ## run the job on gs:// and s3:// emulated on this machine, and faulty: seven minutes
	$(STORES)/bin/python -m pytest -n 2 tests/object_stores

$(STORES)/ready: $(READY) tests/object_stores/requirements.txt
	@rm -rf $(STORES)
	@$(RUN) -m venv $(STORES)
	@$(RUN) -c "import sysconfig; print(sysconfig.get_path('purelib'))" > \
		"$$($(STORES)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/job.pth"
	@$(STORES)/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/object_stores/requirements.txt
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

lock: $(READY)  ## resolve the dependencies anew into requirements.lock
	$(VENV)/bin/pip install --quiet uv
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --extra dev --generate-hashes --no-header \
		pyproject.toml --output-file requirements.lock
	$(VENV)/bin/uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --extra dataflow \
		--excludes docker/worker/excludes.txt --constraint requirements.lock --generate-hashes --no-header \
		pyproject.toml --output-file docker/worker/requirements.txt

clean:  ## remove what demo, tests and set-up made
	rm -rf $(VENV) .engines demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): requirements.txt requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "needs Python 3.11, 3.12 or 3.13; give its path: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Setting up $(VENV) for the first time: a few minutes, 3 GB"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
