"""What a decoding process holds in memory, over many clips with optical flow, each of another size than the one before.

    KINETICS_TEST_DATA=DIR python benchmarks/memory.py [--clips 1000] [--flow tvl1]

One child of the pool that the job has, under the job's memory limit, encodes a second of a real video after the other:
ten videos by five sizes by nineteen starts. Prints, for every hundred clips, what it held right after a clip: after the
last one, the median, and the most; and how much more the last hundred took than the second, when it has met all sizes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.media.process import prepare_decoder, run_clip_task
from beam_pipeline.media.settings import Encode, Flow, MediaSettings
from beam_pipeline.media.task import ClipTask, EncodedClip
from beam_pipeline.pool import ChildPool, Task

VIDEOS = (
    "R6llTwEh07w.mp4",
    "askanything_playing_guitar.mp4",
    "tuneavideo_man_skiing.mp4",
    "decord_flipping_a_pancake.mkv",
    "psd_goldeneye_vfr_drop3.mp4",
    "gradio_video_sample.webm",
    "videollava_sample_demo_22.mp4",
    "ucf101_v_ApplyEyeMakeup_g01_c01.avi",
    "mediabunny_frag_buck_bunny.mp4",
    "askanything_yoga.mp4",
)
SHORTER_SIDES = (256, 64, 192, 96, 128)
STARTS = 19  # a tenth of a second apart: all of the videos last three seconds
HUNDRED = 100


def encode_and_weigh(task: ClipTask) -> tuple[int, float, EncodedClip]:
    """The id of this process and the megabytes that it holds once it has encoded a clip, and the clip."""
    encoded = run_clip_task(task)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return os.getpid(), pages * os.sysconf("SC_PAGE_SIZE") / 1e6, encoded


def tasks(videos: Path, flow: Flow, count: int) -> Iterator[tuple[int, Task]]:
    for n in range(count):
        path = videos / VIDEOS[n % len(VIDEOS)]
        encode = Encode(shorter_side=SHORTER_SIDES[(n + n // len(VIDEOS)) % len(SHORTER_SIDES)])
        start_us = n % STARTS * 100_000
        yield (
            n,
            Task(
                encode_and_weigh,
                ClipTask(
                    clip=Clip(f"clip{n:07d}", start_us, start_us + 1_000_000, "a label"),
                    label_index=0,
                    split="train",
                    dataset_name="bench",
                    path=str(path),
                    uri=path.name,
                    size=path.stat().st_size,
                    known_crc32c=None,
                    settings=MediaSettings(encode, flow, trimmed="false"),
                ),
                cpu_s=600,
                wall_s=6000,
            ),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--flow", default="tvl1", metavar="METHOD")
    arguments = parser.parse_args()
    if "KINETICS_TEST_DATA" not in os.environ:
        sys.exit("needs real clips: set KINETICS_TEST_DATA to the folder that holds videos/")
    from beam_pipeline.config import Limits  # only here: the child loads this file too, and is not to hold Beam

    videos = Path(os.environ["KINETICS_TEST_DATA"]).resolve() / "videos"
    pool = ChildPool(1, Limits().memory_mib, prepare_decoder)
    processes, sizes = set(), set()
    held_mb: list[float] = []
    medians: list[float] = []
    print(f"{'clips':>6}{'sizes':>7}{'MB after':>10}{'median':>8}{'most':>8}")
    for n, result in pool.map(tasks(videos, Flow(arguments.flow), arguments.clips)):
        if isinstance(result, ClipError):
            sys.exit(f"{VIDEOS[n % len(VIDEOS)]}: {result.reason}, {result.detail}")
        process, mb, encoded = result
        processes.add(process)
        sizes.add((encoded.width, encoded.height))
        held_mb.append(mb)
        if len(held_mb) % HUNDRED == 0:
            last = held_mb[-HUNDRED:]
            medians.append(statistics.median(last))
            print(f"{len(held_mb):6}{len(sizes):7}{mb:10.1f}{medians[-1]:8.1f}{max(last):8.1f}", flush=True)
    pool.close()
    assert len(processes) == 1, f"{len(processes)} processes took turns: their memory says nothing"
    if len(medians) > 2:
        grown_mb = medians[-1] - medians[1]
        clips = HUNDRED * (len(medians) - 2)
        print(f"from the second hundred to the last: {grown_mb:+.1f} MB, {1e3 * grown_mb / clips:+.1f} KB a clip")


if __name__ == "__main__":
    main()
