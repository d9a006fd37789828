"""On Prism, by the commands of docs/engines/prism.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.conftest import needs, set_up
from tests.engines.pages import commands
from tests.engines.records import leftovers, outcome
from tests.engines.scripts import Place


@pytest.fixture(scope="module")
def prism(downloads: Path, environment: dict[str, str]) -> None:
    needs("go")
    set_up(commands("prism", "Set up"), downloads, environment, "Prism")


@pytest.mark.usefixtures("prism")
def test_prism_makes_what_the_local_runner_makes(place: Place, local: dict) -> None:
    status, output = place.run(commands("prism", "Run"))
    assert status == 0, output
    assert outcome(place.folder / "records") == local
    assert not leftovers(place.folder / "records")
