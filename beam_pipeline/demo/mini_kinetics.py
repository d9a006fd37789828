"""A mini-Kinetics, made on the spot: small H.264 films with sound under Kinetics' names, and lists in its format.

Like the real one it has its flaws: a film that ends early, one filmed upright, one that is corrupt and one that is
listed but gone.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from beam_pipeline.clips import Clip
from beam_pipeline.demo.chimes import make_chimes
from beam_pipeline.demo.scenes import MOTIONS, draw, make_scene

FPS = 25
DURATION_S = 3
SHORT_DURATION_S = 1.6  # of the film that ends early
_SAMPLE_RATE = 44_100
_VAL_SHARE = 4  # every fourth clip of a class
_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MANIFEST = "mini_kinetics.json"
_REVISION = 2  # of this module: a folder made by another one is made anew


@dataclass(frozen=True, slots=True)
class MiniKinetics:
    """Where a mini-Kinetics is.

    Attributes:
      videos: the folder of the films, `{id}_{start:06d}_{end:06d}.mp4`; a clip store.
      annotations: the list of each split, in Kinetics' columns.
      labels: the names of the classes, in index order.
    """

    videos: Path
    annotations: dict[str, Path]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Film:
    clip: Clip
    split: str
    flaw: str  # short | rotated | corrupt | missing, or empty

    @property
    def file(self) -> str:
        return f"{self.clip.clip_id}.mp4"


def make_mini_kinetics(folder: Path, seed: int = 0, clips_per_class: int = 8) -> MiniKinetics:
    """Makes the films and lists, unless the same ones are there and complete.

    Args:
      folder: where to; made if need be. What is in it under other names is left alone.
      seed: another one gives other films and other ids, the same one the same bytes.
      clips_per_class: at least 4; every fourth goes to the split `val`, the others to `train`.
    """
    if clips_per_class < _VAL_SHARE:
        raise ValueError(f"clips_per_class must be at least {_VAL_SHARE}, got {clips_per_class}")
    found = MiniKinetics(
        folder / "videos",
        {split: folder / "annotations" / f"{split}.csv" for split in ("train", "val")},
        tuple(MOTIONS),
    )
    recipe = {"revision": _REVISION, "seed": seed, "clips_per_class": clips_per_class}
    manifest = folder / _MANIFEST
    if _is_complete(manifest, recipe):
        return found
    _clear(manifest)
    films = _films(seed, clips_per_class)
    found.videos.mkdir(parents=True, exist_ok=True)
    for index, film in enumerate(films):
        if film.flaw != "missing":
            _write_film(found.videos / film.file, film, np.random.default_rng((seed, index)))
    for split, path in found.annotations.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_list(path, [film for film in films if film.split == split])
    files = [*(found.videos / film.file for film in films if film.flaw != "missing"), *found.annotations.values()]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    manifest.write_text(json.dumps(recipe | {"files": sizes}, indent=1) + "\n", encoding="utf-8")
    return found


def _is_complete(manifest: Path, recipe: dict[str, int]) -> bool:
    """The manifest is written last, so where it is all was made; a file may have gone or been cut off since."""
    if not manifest.is_file():
        return False
    made = json.loads(manifest.read_text(encoding="utf-8"))
    sizes = made.pop("files")
    paths = {manifest.parent / name: size for name, size in sizes.items()}
    return made == recipe and all(path.is_file() and path.stat().st_size == size for path, size in paths.items())


def _clear(manifest: Path) -> None:
    """Removes another mini-Kinetics' files, which would be clips of this one's store that nobody asks for."""
    if manifest.is_file():
        for name in json.loads(manifest.read_text(encoding="utf-8"))["files"]:
            (manifest.parent / name).unlink(missing_ok=True)
        manifest.unlink()


def _films(seed: int, clips_per_class: int) -> list[_Film]:
    rng = np.random.default_rng((seed, 0x1D5))
    # One flaw each, in different classes; (class, clip of the class).
    flaws = {(1, 0): "short", (2, 1): "rotated", (4, 2): "corrupt", (6, 3): "missing"}
    films = []
    for class_index, label in enumerate(MOTIONS):
        for number in range(clips_per_class):
            video_id = "".join(rng.choice(list(_ID_ALPHABET), 11))
            if number == class_index % clips_per_class:  # as of 64 real ids one: what commands take for an option
                video_id = "-" + video_id[1:]
            start_s = int(rng.integers(0, 300))
            clip = Clip(video_id, start_s * 1_000_000, (start_s + DURATION_S) * 1_000_000, label)
            split = "val" if number % _VAL_SHARE == _VAL_SHARE - 1 else "train"
            films.append(_Film(clip, split, flaws.get((class_index, number), "")))
    return films


def _write_list(path: Path, films: list[_Film]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        for film in films:
            clip = film.clip
            seconds = clip.start_us // 1_000_000, clip.end_us // 1_000_000
            writer.writerow([clip.label, clip.video_id, *seconds, film.split])


def _write_film(path: Path, film: _Film, rng: np.random.Generator) -> None:
    duration_s = SHORT_DURATION_S if film.flaw == "short" else DURATION_S
    scene = make_scene(film.clip.label, rng)
    pictures = [draw(scene, k / FPS) for k in range(round(duration_s * FPS))]
    if film.flaw == "rotated":
        pictures = [np.rot90(picture) for picture in pictures]
    _encode(path, pictures, make_chimes(duration_s, _SAMPLE_RATE, rng))
    if film.flaw == "rotated":
        _turn_clockwise(path)
    elif film.flaw == "corrupt":
        _overwrite_second_half(path, rng)


def _encode(path: Path, pictures: list[np.ndarray], sound: np.ndarray) -> None:
    height, width, _ = pictures[0].shape
    with av.open(str(path), "w", format="mp4") as container:
        # From `veryfast` on x264 plans by macroblock trees, which one run in ten come out otherwise with AVX-512.
        video = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "superfast", "threads": "1"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=_SAMPLE_RATE, layout="mono")
        audio.bit_rate = 64_000
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        frame_size = audio.codec_context.frame_size or 1024
        for begin in range(0, len(sound), frame_size):
            samples = av.AudioFrame.from_ndarray(sound[np.newaxis, begin : begin + frame_size], "fltp", "mono")
            samples.sample_rate, samples.pts, samples.time_base = _SAMPLE_RATE, begin, Fraction(1, _SAMPLE_RATE)
            container.mux(audio.encode(samples))
        container.mux(audio.encode(None))


def _turn_clockwise(path: Path) -> None:
    """Marks an MP4's video as filmed with the camera upright: to be shown turned by 90° clockwise.

    The 3 × 3 matrix is in the track header (ISO/IEC 14496-12, 8.3.2), 40 bytes behind the end of its type.
    """
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # the first track is the video
    one, minus_one = (1 << 16).to_bytes(4), (-1 << 16).to_bytes(4, signed=True)
    data[matrix : matrix + 20] = bytes(4) + one + bytes(4) + minus_one + bytes(4)
    path.write_bytes(data)


def _overwrite_second_half(path: Path, rng: np.random.Generator) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + rng.bytes(len(data) - len(data) // 2))
