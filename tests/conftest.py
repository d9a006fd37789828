"""What tests share: where the real videos and annotation files are."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Names the mark of tests that `.ci/run` has time for where others take too long, and lets Ctrl-C through."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background: tests stop what they start
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "essential: what .ci/run runs of tests that take long")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says once for all why tests were skipped, and how many for each reason."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real videos and annotation files; tests that need it are skipped where it is not given."""
    folder = os.environ.get("KINETICS_TEST_DATA")
    if not folder:
        pytest.skip("needs real videos and annotation files: set KINETICS_TEST_DATA to their folder")
    path = Path(folder)
    if not (path / "videos").is_dir():
        pytest.skip(f"KINETICS_TEST_DATA={folder} has no folder videos/")
    return path
