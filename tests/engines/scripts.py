"""Shell scripts of commands of a page, and whatever they leave running."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LIMIT_S = 1800
_PORTS_RE = re.compile(r"\b8786\b")  # of pages, that somebody may use here


@dataclass(frozen=True)
class Place:
    """Where commands run: a folder in which they find `configs/` and `demo/`, and what surrounds them."""

    folder: Path
    env: dict[str, str]

    @contextlib.contextmanager
    def running(self, script: str) -> Iterator[subprocess.Popen[str]]:
        """Runs a script to its end or the block's, and ends what it started."""
        with (self.folder / "output").open("w") as output:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", _elsewhere(script)],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )
            try:
                yield process
            finally:
                _end_group(process)

    def run(self, script: str) -> tuple[int, str]:
        """Runs a script to its end; returns its exit status and what it said."""
        with self.running(script) as process:
            status = process.wait(_LIMIT_S)
        return status, self.output

    @property
    def output(self) -> str:
        """What the script that was run last has said."""
        return (self.folder / "output").read_text(errors="replace")


def writer_of_a_shard(data_dir: Path) -> int | None:
    """Returns the process that has the unfinished file of a shard open, with something in it."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            path = link.readlink()
            if path.name.endswith(".partial") and path.is_relative_to(data_dir) and path.stat().st_size:
                return int(link.parts[2])
        except OSError:
            continue
    return None


def _elsewhere(script: str) -> str:
    """Returns a script whose services are at ports that are free."""
    ports: dict[str, str] = {}
    for port in _PORTS_RE.findall(script):
        if port not in ports:
            with socket.create_server(("127.0.0.1", 0)) as server:
                ports[port] = str(server.getsockname()[1])
    return _PORTS_RE.sub(lambda match: ports[match[0]], script)


def _end_group(process: subprocess.Popen[str]) -> None:
    """Ends a process and all that it started, which is its group."""
    for number, patience_s in ((signal.SIGTERM, 20), (signal.SIGKILL, 20)):
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            process.poll()
            try:
                os.killpg(process.pid, number if until - time.monotonic() > patience_s - 0.5 else 0)
            except ProcessLookupError:
                return
            time.sleep(0.5)
