"""The bytes of a record: they change only together with RECORD_REVISION, and are the same on any processor.

Where a change of them is meant, raise RECORD_REVISION (beam_pipeline/media/task.py) and run

    python -m tests.beam_pipeline.test_golden
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

from beam_pipeline.clips import Clip
from beam_pipeline.media.encoding import encode_clip
from beam_pipeline.media.settings import Audio, Encode, Flow, MediaSettings
from beam_pipeline.media.task import RECORD_REVISION, ClipTask

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "golden"
SETTINGS = {
    "frames": MediaSettings(Encode(shorter_side=64)),
    "frames, flow and sound": MediaSettings(Encode(shorter_side=64), Flow(method="dis"), Audio()),
    "TV-L1": MediaSettings(Encode(shorter_side=32, fps=Encode().fps / 5), Flow()),
    "Farneback": MediaSettings(Encode(shorter_side=32), Flow(method="farneback")),
    "PNG, truncated, by height": MediaSettings(
        Encode(shorter_side=None, height=40), Flow("dis", storage="png", rounding="truncate")
    ),
    "upscaled, bicubic": MediaSettings(Encode(shorter_side=200, resize="bicubic", jpeg_quality=80)),
}


def digest(name: str, path: Path = FOLDER / "clip.mp4") -> str:
    task = ClipTask(
        clip=Clip("golden", 0, 1_300_000, "moving"),
        label_index=7,
        split="train",
        dataset_name="golden",
        path=str(path),
        uri=path.name,
        size=path.stat().st_size,
        known_crc32c=None,
        settings=SETTINGS[name],
    )
    record = encode_clip(task).record
    assert record is not None
    return hashlib.sha256(record).hexdigest()


def expected() -> dict[str, dict[str, str]]:
    return json.loads((FOLDER / "records.json").read_text())


@pytest.mark.parametrize("name", SETTINGS)
def test_bytes_change_only_with_the_revision(name: str) -> None:
    known = expected().get(str(RECORD_REVISION))
    assert known, f"no golden digests of revision {RECORD_REVISION}: run python -m {__name__}"
    assert digest(name) == known[name], "the bytes of a record changed: see the head of this file"


@pytest.mark.skipif(sys.platform != "linux", reason="reduces what libraries see of an x86-64 processor under Linux")
def test_a_lesser_processor_gives_the_same_bytes() -> None:
    reduced = {
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
        "JSIMD_FORCESSE2": "1",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
        "OPENCV_CPU_DISABLE": "AVX2,AVX512-SKX",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", __name__, "--lesser"],
        cwd=ROOT,
        env=os.environ | reduced,
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == expected()[str(RECORD_REVISION)]


def main() -> None:
    lesser = sys.argv[1:] == ["--lesser"]
    if lesser:
        ctypes.CDLL(av._core.__file__).av_force_cpu_flags(0)  # libav: plain C
    digests = {name: digest(name) for name in SETTINGS}
    if lesser:
        print(json.dumps(digests))
        return
    known = expected() if (FOLDER / "records.json").exists() else {}
    if known.get(str(RECORD_REVISION), digests) != digests:
        sys.exit(f"the bytes differ from those of revision {RECORD_REVISION}: raise RECORD_REVISION first")
    known[str(RECORD_REVISION)] = digests
    (FOLDER / "records.json").write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
