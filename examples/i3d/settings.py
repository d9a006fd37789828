"""What a run trains and how; `run.json` in its folder keeps it for going on, and for those who evaluate the model."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "run.json"

# By the authors' account (https://github.com/google-deepmind/kinetics-i3d): (the step before which, the learning rate).
# Theirs are steps of 64 replicas with 6 clips each.
SCHEDULES = {
    "rgb": ((97_000, 0.1), (108_000, 0.01), (115_000, 0.001)),
    "flow": (
        (97_000, 0.1),
        (104_500, 0.01),
        (115_000, 0.001),
        (140_000, 0.1),
        (150_000, 0.01),
        (155_000, 0.001),
    ),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides what comes out of a run; the defaults are those of the paper and its authors' code.

    Attributes:
      name: of the data set, as `tf_data.load` takes it.
      split: that is trained on.
      stream: `rgb` or `flow`.
      label_names: by index.
      encode: how the job made the records' frames: `encode` of its configuration.
      flow_encode: how it made their flow, where they have any.
      num_frames: of a clip that is seen.
      stride: from one frame to the next.
      shorter_side: to which frames are resized before they are cropped, in pixels; None leaves them.
      crop_size: one side, in pixels.
      flip_probability: of mirroring a clip left to right.
      flip_labels: what a flip makes of a class, as `tf_data.load` takes it.
      width: factor of the layers' channels; 1 is the published network.
      batch_norm_decay: of the moving averages.
      batch_size: clips a replica.
      num_replicas: devices that train together.
      steps: of training; the published schedule is stretched to them.
      learning_rate: the schedule's largest.
      momentum: of the gradient descent.
      weight_decay: factor of half the sum of the squared weights of all convolutions, in the loss.
      dropout: the share of features that are left out.
      precision: `float32`, or `bfloat16` for what is computed between the weights and the logits.
      initial: a checkpoint that training began with, or nothing.
      seed: of weights, clips, views and dropout.

    Raises:
      ValueError: a number that is not allowed; the message names it. `tf_data.load` and `build_i3d` check the others.
    """

    name: str
    split: str
    stream: str
    label_names: tuple[str, ...]
    encode: Mapping[str, Any] | None = None
    flow_encode: Mapping[str, Any] | None = None
    num_frames: int = 64
    stride: int = 1
    shorter_side: int | None = None
    crop_size: int = 224
    flip_probability: float = 0.5
    flip_labels: Mapping[str, str | None] = field(default_factory=dict)
    width: float = 1.0
    batch_norm_decay: float = 0.999
    batch_size: int = 6
    num_replicas: int = 1
    steps: int = 115_000
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-7
    dropout: float = 0.5
    precision: str = "float32"
    initial: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("steps", "batch_size", "num_replicas"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be at least 1, got {getattr(self, key)}")
        for key in ("momentum", "dropout"):
            if not 0 <= getattr(self, key) < 1:
                raise ValueError(f"{key} must be from 0 to below 1, got {getattr(self, key)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be 0 or more, got {self.weight_decay}")


def learning_rate_at(step: int, settings: Settings) -> float:
    """Returns the learning rate of a step, 0 being the first, by the authors' schedule at the run's length."""
    schedule = SCHEDULES[settings.stream]
    published_steps, highest = schedule[-1][0], max(rate for _, rate in schedule)
    place = step * published_steps / settings.steps
    rate = next((rate for end, rate in schedule if place < end), schedule[-1][1])
    return settings.learning_rate * rate / highest


def read_settings(folder: Path) -> Settings:
    """Reads a run's settings.

    Raises:
      ValueError: the folder has none, or they are damaged; the message names the file.
    """
    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"{folder}: is no run's folder: it has no {FILE}, which train.py writes")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Settings(**values | {"label_names": tuple(values["label_names"])})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: is damaged, or of another version of train.py: {error}") from error


def write_settings(folder: Path, settings: Settings) -> None:
    """Writes a new run's settings, or makes sure that a run that is gone on with has the same.

    Raises:
      ValueError: the folder's run has others; the message names the first that differs.
    """
    path = folder / FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(dataclasses.asdict(settings), indent=1, ensure_ascii=False)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.rename(path)
        return
    found = read_settings(folder)
    for key in (one.name for one in dataclasses.fields(Settings)):
        then, now = getattr(found, key), getattr(settings, key)
        if then != now:
            raise ValueError(
                f"{path}: the run there was begun with {key}={then!r}, and this is {now!r}; "
                "go on with the same arguments, or name another folder by --out"
            )
