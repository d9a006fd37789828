"""A run's settings: the published schedule, and a folder that keeps to one run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from examples.i3d.settings import Settings, learning_rate_at, read_settings, write_settings


def settings(**values: object) -> Settings:
    return dataclasses.replace(
        Settings("k400:1.0.0", "train", "rgb", ("abseiling", "zumba"), flip_labels={"abseiling": None}), **values
    )


@pytest.mark.parametrize(
    ("stream", "steps", "rates"),
    [
        ("rgb", 115_000, {0: 0.1, 96_999: 0.1, 97_000: 0.01, 107_999: 0.01, 108_000: 0.001, 114_999: 0.001}),
        ("flow", 155_000, {104_499: 0.01, 104_500: 0.001, 115_000: 0.1, 139_999: 0.1, 140_000: 0.01, 154_999: 0.001}),
        ("rgb", 1_150, {0: 0.1, 969: 0.1, 970: 0.01, 1_080: 0.001}),
    ],
)
def test_the_learning_rate_is_the_published_one_at_the_runs_length(
    stream: str, steps: int, rates: dict[int, float]
) -> None:
    run = settings(stream=stream, steps=steps)
    assert {step: learning_rate_at(step, run) for step in rates} == pytest.approx(rates)


def test_another_learning_rate_is_lowered_likewise() -> None:
    run = settings(steps=115_000, learning_rate=0.02)
    assert [learning_rate_at(step, run) for step in (0, 100_000)] == pytest.approx([0.02, 0.002])


def test_settings_are_kept(tmp_path: Path) -> None:
    write_settings(tmp_path / "run", settings())
    assert read_settings(tmp_path / "run") == settings()


def test_a_folder_keeps_to_one_run(tmp_path: Path) -> None:
    write_settings(tmp_path, settings())
    write_settings(tmp_path, settings())
    with pytest.raises(ValueError, match=r"run.json: the run there was begun with seed=0, and this is 1; go on with"):
        write_settings(tmp_path, settings(seed=1))


@pytest.mark.parametrize("text", ["", "[]", '{"name": "k400"}', '{"label_names": [], "colour": 1}'])
def test_damaged_settings_are_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json: is damaged, or of another version"):
        read_settings(tmp_path)
