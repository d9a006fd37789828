"""Beam's job servers, Java programs of which this machine's Maven gets the jars."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.engines.conftest import ROOT, needs, set_up
from tests.engines.pages import commands

_POM = Path(__file__).with_name("job_server")
_OLDER_BEAM = "2.62.0"  # the last whose runners' own artifacts are all to be had where 2.77's job servers are not


def job_server(page: str, runner: str, driver: str, downloads: Path, environment: dict[str, str]) -> dict[str, str]:
    """Returns the environment with the job server that a page sets up.

    Where the registry at hand does not have it, one is built of the runner's own artifact, of an older Beam.
    """
    needs("java", "mvn")
    script = commands(page, "Set up") + 'echo "$JOB_SERVER"'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return environment | {"JOB_SERVER": done.stdout.splitlines()[-1]}
    jar = downloads / "job_server" / f"{runner}-job-server-{_OLDER_BEAM}.jar"
    if not jar.exists():
        out = jar.parent / "build"
        build = (
            f"mvn --quiet --batch-mode --file '{_POM}' package -P{page} -Dout='{out}' -Drunner={runner} "
            f"-Dbeam={_OLDER_BEAM} -Dmain={driver} && mv '{out / jar.name}' '{jar}'"
        )
        set_up(build, downloads, environment, f"a job server of {page}")
    print(f"{page}: the registry has no job server of this Beam; this one is of Beam {_OLDER_BEAM}")
    return environment | {"JOB_SERVER": str(jar)}
