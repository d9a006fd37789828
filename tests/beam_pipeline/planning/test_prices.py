"""Price tables: the one that comes with the project, and those of users."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from beam_pipeline.config import ConfigError
from beam_pipeline.planning.prices import DEFAULT_MACHINE_TYPE, read_prices
from beam_pipeline.shipped import shipped


def test_the_table_that_comes_with_the_project_has_a_source_and_a_date_for_each_price() -> None:
    table = read_prices(None)
    for price in (getattr(table.prices, name) for name in table.prices.__slots__):
        assert price.source.startswith("https://cloud.google.com/")
        assert price.date.year >= 2026


def test_it_has_the_prices_that_beam_has_for_its_load_tests() -> None:
    from apache_beam.testing.load_tests import dataflow_cost_consts as beam

    prices = read_prices(None).prices
    assert prices.vcpu_hour.usd == beam.VCPU_PER_HR_BATCH
    assert prices.memory_gib_hour.usd == beam.MEM_PER_GB_HR_BATCH
    assert prices.disk_gib_hour.usd == beam.PD_PER_GB_HR
    assert prices.shuffle_gib.usd == beam.SHUFFLE_PER_GB_BATCH


def test_it_knows_the_machine_that_is_taken_where_none_is_named() -> None:
    assert read_prices(None).machine(DEFAULT_MACHINE_TYPE).vcpus == 1


def test_a_machine_hour_is_the_sum_of_its_parts() -> None:
    assert read_prices(None).machine_hour_usd("n2-standard-4", 100) == pytest.approx(
        4 * 0.056 + 16 * 0.003557 + 100 * 0.000054
    )


def own(folder: Path, change: dict) -> str:
    values = yaml.safe_load(shipped("prices", "dataflow.yaml").read_text(encoding="utf-8"))
    (folder / "own.yaml").write_text(yaml.safe_dump(values | change))
    return str(folder / "own.yaml")


def test_a_table_of_ones_own_counts(tmp_path: Path) -> None:
    path = own(tmp_path, {"region": "the cellar", "machine_types": {"server": {"vcpus": 64, "memory_gib": 256}}})
    table = read_prices(path)
    assert (table.region, table.machine("server").vcpus) == ("the cellar", 64)
    with pytest.raises(ConfigError, match="machine type n1-standard-4 is not in the price table, which has server"):
        table.machine("n1-standard-4")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"machine_types": {"server": {"vcpus": 0, "memory_gib": 1}}}, "machine_types.server.vcpus: .*got 0"),
        ({"prices": {}}, "prices.vcpu_hour"),
        ({"regoin": "x"}, "regoin"),
    ],
)
def test_a_table_that_is_wrong_says_where(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"own\.yaml: {message}"):
        read_prices(own(tmp_path, change))


@pytest.mark.parametrize(
    ("content", "message"), [("{", "can't be read as YAML"), (None, "there is no such price table")]
)
def test_a_file_that_is_no_table_is_told(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "prices.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_prices(str(tmp_path / "prices.yaml"))
