"""What Dataflow's machines would do with a job that was posted, done here by processes of another environment.

    python replay.py JOB_JSON WORKER_PYTHON STAGED_FOLDER

The staged pipeline is taken as it is; in place of its container stands a process of WORKER_PYTHON, with the packages
that were staged with it installed in STAGED_FOLDER, as the container's boot program does, and the job's own options.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner


def main(job: dict[str, Any], worker_python: str, staged: Path) -> None:
    FileSystems.set_options(PipelineOptions([]))
    options = job["environment"]["sdkPipelineOptions"]["options"]
    content = _read(options["pipelineUrl"], options["pipelineProtoHash"])
    pipeline = beam_runner_api_pb2.Pipeline.FromString(content)
    given = staged.with_suffix(".options")
    given.write_text(json.dumps({key: _as_service_writes(value) for key, value in options.items()}))
    for environment in pipeline.components.environments.values():
        _install(environment.dependencies, staged)
        del environment.dependencies[:]
        # As boot starts it. A process that ends by itself would leave the runner waiting for ever.
        worker = f"{worker_python} -m apache_beam.runners.worker.sdk_worker_main"
        command = f'PIPELINE_OPTIONS="$(cat {given})" PYTHONPATH={staged} {worker} || kill {os.getpid()}'
        environment.urn, environment.payload = python_urns.SUBPROCESS_SDK, command.encode()
    FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([])).wait_until_finish()


def _as_service_writes(value: Any) -> Any:
    """Numbers arrive as floating-point ones; Dataflow gives workers whole ones as such."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read(url: str, sha256: str) -> bytes:
    with FileSystems.open(url) as file:
        content = file.read()
    assert hashlib.sha256(content).hexdigest() == sha256, url
    return content


def _install(dependencies: Any, staged: Path) -> None:
    """Fetches what was staged, and installs the packages among it without their dependencies, as the image does."""
    staged.mkdir(exist_ok=True)
    for dependency in dependencies:
        url = beam_runner_api_pb2.ArtifactUrlPayload.FromString(dependency.type_payload)
        name = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(dependency.role_payload).staged_name
        (staged / name).write_bytes(_read(url.url, url.sha256))
    manifest = staged / "extra_packages.txt"
    for package in manifest.read_text().split() if manifest.exists() else ():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(staged)]
        subprocess.run([*pip, str(staged / package)], check=True)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], Path(sys.argv[3]))
