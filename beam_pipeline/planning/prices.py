"""What worker machines cost: a dated table that comes with the project, or one of the user's own."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import yaml
from annotated_types import Interval
from pydantic import TypeAdapter, ValidationError

from beam_pipeline.config import ConfigError
from beam_pipeline.shipped import shipped

DEFAULT_MACHINE_TYPE = "n1-standard-1"
"""What Dataflow takes for a batch job that names none:
https://cloud.google.com/dataflow/docs/guides/configure-worker-vm."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for one unit, where that comes from, and when it was read there."""

    usd: Annotated[float, Interval(ge=0, le=1e6)]
    source: str
    date: datetime.date


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices by unit: of an hour of a worker's parts, of shuffled data, of a month of storage. A GiB is 2**30 bytes."""

    vcpu_hour: Price
    memory_gib_hour: Price
    disk_gib_hour: Price
    shuffle_gib: Price
    storage_gib_month: Price


@dataclass(frozen=True, slots=True)
class MachineType:
    """What a worker machine has: virtual processors, and memory in GiB."""

    vcpus: Annotated[int, Interval(ge=1, le=10_000)]
    memory_gib: Annotated[float, Interval(gt=0, le=1e6)]


@dataclass(frozen=True, slots=True)
class PriceTable:
    """All that a plan's dollars are made of."""

    region: str
    prices: PriceList
    machine_types: dict[str, MachineType]

    def machine(self, name: str) -> MachineType:
        """Returns what a machine type has.

        Raises:
          ConfigError: the table does not know it.
        """
        if name not in self.machine_types:
            raise ConfigError(
                f"machine type {name} is not in the price table, which has {', '.join(sorted(self.machine_types))}: "
                "copy configs/prices/dataflow.yaml, add a line with its vcpus and memory_gib, and give it by --prices"
            )
        return self.machine_types[name]

    def machine_hour_usd(self, name: str, disk_gib: float) -> float:
        """Returns the dollars of an hour of a machine with a disk of `disk_gib` GiB."""
        machine, prices = self.machine(name), self.prices
        return (
            machine.vcpus * prices.vcpu_hour.usd
            + machine.memory_gib * prices.memory_gib_hour.usd
            + disk_gib * prices.disk_gib_hour.usd
        )

    @property
    def as_of(self) -> datetime.date:
        """The date of the oldest price of a worker's parts."""
        return min(p.date for p in (self.prices.vcpu_hour, self.prices.memory_gib_hour, self.prices.disk_gib_hour))


def read_prices(path: str | None) -> PriceTable:
    """Reads a price table; None: the one that comes with the project.

    Raises:
      ConfigError: it can't be read, or a value is missing or out of its range; it names each.
    """
    file: Traversable = Path(path) if path else shipped("prices", "dataflow.yaml")
    name = path or "configs/prices/dataflow.yaml"
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        return TypeAdapter(PriceTable).validate_python(values, extra="forbid")
    except FileNotFoundError:
        raise ConfigError(f"{name}: there is no such price table") from None
    except ValidationError as error:
        lines = [f"{name}: {'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors()]
        raise ConfigError("\n".join(lines)) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{name}: can't be read as YAML: {' '.join(str(error).split())}") from None
