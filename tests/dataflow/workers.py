"""Workers of a `FakeDataflow`: processes of another environment, which have what an image would have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.dataflow.conftest import ROOT


@dataclass(frozen=True)
class Workers:
    """Does posted jobs by processes of another environment; the packages that come with a job go to `staged`."""

    python: str
    staged: Path
    environment: dict[str, str]

    def work(self, job: dict[str, Any]) -> str:
        path = self.staged.with_suffix(".json")
        path.write_text(json.dumps(job))
        command = [sys.executable, str(ROOT / "tests/dataflow/replay.py"), str(path), self.python, str(self.staged)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | self.environment
        done = subprocess.run(
            command, cwd=self.staged.parent, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        return done.stderr[-5000:] if done.returncode else ""
