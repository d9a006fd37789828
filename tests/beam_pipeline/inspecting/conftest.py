"""A data set that a real run made, with what strangers may call things; and its page, written and served."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from beam_pipeline.viewing.clip_record import Sound
from beam_pipeline.viewing.films import write_film
from tests.beam_pipeline.viewing.moving import grey_frames

ROOT = Path(__file__).parents[3]
HOSTILE_LABEL = '</script><img src=x onerror="window.hacked=1">\'&amp;\u202eevil\u2028'
# A slash in a file name makes folders of it, and the end of a script.
HOSTILE_FOLDER = "\"><img src=x onerror=window.hacked=2><script>window.hacked=3</script>'"
RIGHT = ["-nRSDT1Q2m0_000000_000001", "righttttttw_000002_000003"]
EVIL = "evil1234560_000000_000001"
BROKEN = "broken12340_000004_000005"
MISSING = "missing1230_000006_000007"
VAL = "silent12340_000000_000001"


@pytest.fixture(scope="session")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the version; its files are not to be changed."""
    folder = tmp_path_factory.mktemp("inspected")
    store = folder / "store" / HOSTILE_FOLDER
    store.mkdir(parents=True)
    tone = Sound(np.sin(np.arange(16_000) * 2 * np.pi * 440 / 16_000).astype(np.float32) / 2, 16_000)
    for clip_id, step, sound in ((RIGHT[0], 3, tone), (RIGHT[1], 2, tone), (EVIL, 1, tone), (VAL, 2, None)):
        pictures = [np.repeat(grey[..., np.newaxis], 3, axis=2) for grey in grey_frames(25, (step, 0))]
        write_film(store / f"{clip_id}.mp4", "mp4", pictures, Fraction(25), sound)
    (store / f"{BROKEN}.mp4").write_bytes(b"no film")
    _write_list(folder / "train.csv", [*RIGHT, MISSING, BROKEN, EVIL], ["to the right"] * 3 + [HOSTILE_LABEL] * 2)
    _write_list(folder / "val.csv", [VAL], ["to the right"])
    settings = ["name=inspected", "splits.train.shards=2", "splits.val.shards=1", f"source.store={folder / 'store'}"]
    settings += [f"splits.{split}.annotations={folder / split}.csv" for split in ("train", "val")]
    settings += ["encode.shorter_side=48", "flow.method=dis", "audio.sample_rate=16000", "workers=1"]
    command = [sys.executable, "-m", "beam_pipeline", "run", "--data_dir", str(folder / "made")]
    command += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder / "made" / "inspected" / "1.0.0"


def _write_list(path: Path, clip_ids: list[str], labels: list[str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        for clip_id, label in zip(clip_ids, labels, strict=True):
            video_id, start, end = clip_id.rsplit("_", 2)
            writer.writerow([label, video_id, int(start), int(end), path.stem])


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A Chromium; what needs one is skipped where none is installed."""
    browsing = pytest.importorskip("tests.beam_pipeline.inspecting.browsing", reason="needs playwright")
    if not browsing.CHROMIUM:
        pytest.skip(browsing.NO_CHROMIUM)
    with browsing.chromium() as browser:
        yield browser
