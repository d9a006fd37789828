"""Data sets of a few short clips, made by the job itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from beam_pipeline.config import load_config
from beam_pipeline.run import run
from tests.beam_pipeline.clips_on_disk import write_clip

Clip = tuple[str, int, str]  # id of the video, second at which it begins, label


def write_store(folder: Path, clips: Sequence[Clip]) -> None:
    """Writes files for clips, each with a picture of its own."""
    for n, (video_id, start_s, _) in enumerate(clips):
        write_clip(folder / f"{video_id}_{start_s:06d}_{start_s + 1:06d}.mp4", hue=n * 37)


def make(folder: Path, store: Path, splits: Mapping[str, Sequence[Clip]], *settings: str, shards: int = 2) -> Path:
    """Makes a data set of clips of a second; returns the folder of its version."""
    words = ["name=tiny", f"source.store={store}", "encode.shorter_side=32", "workers=1", *settings]
    folder.mkdir(parents=True, exist_ok=True)
    for split, clips in splits.items():
        rows = [f"{label},{video_id},{start_s},{start_s + 1},{split}" for video_id, start_s, label in clips]
        path = folder / f"{split}.csv"
        path.write_text("\n".join(["label,youtube_id,time_start,time_end,split", *rows]) + "\n")
        words += [f"splits.{split}.annotations={path}", f"splits.{split}.shards={shards}"]
    run(load_config(None, words, str(folder)))
    return folder / "tiny" / "1.0.0"
