"""What an example costs to read, beside DMVR, TFDS's decoding and libjpeg-turbo called directly on the same records.

    KINETICS_TEST_DATA=DIR python benchmarks/reader.py --dmvr CHECKOUT [--records 200] [--rounds 5]

Makes a data set of real 340×256 footage with the project's own job (250 frames a record, quality 95), then has every
contender read it, each in a process of its own, pinned to one core, by turns. Prints medians of CPU ms an example and
their ratios, which are what the project promises; absolute figures are this machine's.

Training: 64 frames at stride 2, a random 224×224 crop. DMVR flips and gives float32 in [-1, 1]; `ours, float32` does
the same; `ours, uint8` leaves both to the device. TFDS decodes the same frames by its feature `Video` and crops: no
flip, no normalisation, and no reading of SequenceExamples of its own. The floor reads each record whole into memory and
decodes the crops in C; its row with two cores shows what a second one of this machine brings at best. Evaluation: ten
clips of 64 frames at stride 2, centre crop, in a batch of one video, as DMVR can't do without.

DMVR (https://github.com/google-deepmind/dmvr) is not on PyPI: without --dmvr its rows are left out. Its tokenizers,
which need packages that have nothing to do with pictures, are replaced by an empty module. TFDS is installed into a
temporary environment above this one's packages, so that all read with the same TensorFlow. The floor needs a C compiler
and libjpeg-turbo's headers (Debian: libjpeg62-turbo-dev).

With --recipes instead: what each preset's training view costs on one core, all by turns in one process, beside the
floor. examples/i3d/README.md compares that with what models consume.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import ctypes
import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import types
import venv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

FRAMES, STRIDE, CROP, CLIPS = 64, 2, 224, 10
EVAL_RECORDS = 20
EPOCHS = 5  # of a recipe in a round: a training job makes an iterator once for weeks

# What models train on, by preset or, where there is none, by its paper's numbers of frames, frames a second, side.
RECIPES: dict[str, dict[str, Any]] = {
    "I3D": {"preset": "i3d"},
    "SlowFast R50": {"preset": "slowfast"},
    "X3D-M": {"preset": "slowfast", "num_frames": 16, "fps": 6.0},
    "MoViNet-A0": {"preset": "movinet", "crop_size": 172},
    "MoViNet-A2": {"preset": "movinet"},
    "ViViT-B": {"preset": "vivit"},
    "VideoMAE ViT-B": {"preset": "videomae"},
}

DIRECT_C = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <jpeglib.h>
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
const char *version(void) { return TEXT(LIBJPEG_TURBO_VERSION); }

/* Reads a record and decodes n crops of its frames, with the columns beside them that chroma needs. 0 if it failed. */
int read_and_decode(const char *path, long offset, long length, unsigned char *record, const long *begins,
                    const long *sizes, int n, int top, int left, int height, int width, unsigned char *pixels) {
  int file = open(path, O_RDONLY);
  for (long done = 0, got; done < length; done += got)
    if ((got = pread(file, record + done, length - done, offset + done)) <= 0) return 0;
  close(file);
  struct jpeg_error_mgr errors;
  for (int k = 0; k < n; k++) {
    struct jpeg_decompress_struct frame;
    frame.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&frame);
    jpeg_mem_src(&frame, record + begins[k], sizes[k]);
    jpeg_read_header(&frame, TRUE);
    frame.dct_method = JDCT_IFAST;
    jpeg_start_decompress(&frame);
    JDIMENSION first = left ? left - 1 : 0, columns = width + 2;
    if (first + columns > frame.output_width) columns = frame.output_width - first;
    jpeg_crop_scanline(&frame, &first, &columns);
    unsigned char *line = malloc(3 * columns);
    jpeg_skip_scanlines(&frame, top);
    for (int row = 0; row < height; row++, pixels += 3 * width) {
      jpeg_read_scanlines(&frame, &line, 1);
      memcpy(pixels, line + 3 * (left - first), 3 * width);
    }
    free(line);
    jpeg_destroy_decompress(&frame);
  }
  return 1;
}
"""


def make_data(folder: Path, data: Path, count: int) -> Path:
    """Runs the job over `count` clips; returns the folder of the version."""
    from benchmarks.job import make_store

    store = folder / "store"
    make_store(store, data, count)
    settings = {
        "name": "bench",
        "splits.train.annotations": store / "train.csv",
        "splits.train.shards": 4,
        "source.store": store,
        "workers": len(os.sched_getaffinity(0)),
    }
    command = [sys.executable, "-m", "beam_pipeline", "run", "--data_dir", str(folder)]
    command += itertools.chain.from_iterable(("--set", f"{key}={value}") for key, value in settings.items())
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return folder / "bench" / "1.0.0"


def make_tfds_python(folder: Path) -> str:
    """Installs TFDS above this environment's packages; returns the interpreter that sees both."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    packages = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (packages / "above.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run([python, "-m", "pip", "install", "-q", "tensorflow-datasets"], check=True)
    return str(python)


def make_library(folder: Path) -> Path:
    source, library = folder / "direct.c", folder / "direct.so"
    source.write_text(DIRECT_C)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", source, "-o", library, "-ljpeg"], check=True)
    return library


# ---- Contenders: each gives a function that reads all examples once, and says what it is -----------------------------

Contender = tuple[Callable[[], Iterable[Any]], str]


def ours(args: argparse.Namespace, dtype: str, evaluation: bool = False) -> Contender:
    import tensorflow as tf

    import tf_data

    ds = tf_data.load(
        str(args.folder),
        split=f"train[:{args.records}]",
        training=not evaluation,
        num_frames=FRAMES,
        stride=STRIDE,
        crop_size=CROP,
        num_clips=CLIPS if evaluation else 1,
        dtype=dtype,
        batch_size=1 if evaluation else None,
        seed=0,
    )
    return lambda: ds, f"TensorFlow {tf.__version__}"


def dmvr(args: argparse.Namespace, evaluation: bool = False) -> Contender:
    sys.path.insert(0, str(args.dmvr))
    tokenizers: Any = types.ModuleType("dmvr.tokenizers")
    tokenizers.__getattr__ = lambda name: object
    sys.modules["dmvr.tokenizers"] = tokenizers
    import tensorflow as tf
    from dmvr import modalities, video_dataset

    class Factory(video_dataset.BaseVideoDatasetFactory):
        def _build(self) -> None:
            modalities.add_image(
                self.parser_builder,
                self.sampler_builder,
                self.decoder_builder,
                self.preprocessor_builder,
                self.postprocessor_builder,
                is_training=not evaluation,
                num_frames=FRAMES,
                stride=STRIDE,
                num_test_clips=CLIPS if evaluation else 1,
                min_resize=256,
                crop_size=CROP,
                zero_centering_image=True,
            )

    factory = Factory(shards(args.folder)).configure()
    ds = factory.make_dataset(shuffle=False, num_epochs=1, batch_size=1 if evaluation else None, drop_remainder=False)
    return lambda: ds.take(args.records), f"TensorFlow {tf.__version__}"


def tfds(args: argparse.Namespace) -> Contender:
    import tensorflow as tf
    import tensorflow_datasets

    video = tensorflow_datasets.features.Video(shape=(None, None, None, 3), encoding_format="jpeg")
    lists = {"image/encoded": tf.io.FixedLenSequenceFeature([], tf.string)}

    def example(record: tf.Tensor) -> tf.Tensor:
        encoded = tf.io.parse_single_sequence_example(record, sequence_features=lists)[1]["image/encoded"]
        start = tf.random.uniform([], maxval=tf.size(encoded) - (FRAMES - 1) * STRIDE, dtype=tf.int32)
        pixels = video.decode_example(tf.gather(encoded, start + STRIDE * tf.range(FRAMES)))
        return tf.image.random_crop(pixels, [FRAMES, CROP, CROP, 3])

    ds = tf.data.TFRecordDataset(shards(args.folder)).take(args.records)
    ds = ds.map(example, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    return lambda: ds, f"TFDS {tensorflow_datasets.__version__}, TensorFlow {tf.__version__}"


def direct(args: argparse.Namespace) -> Contender:
    import numpy as np

    from beam_pipeline.records import parse_sequence_example

    library = ctypes.CDLL(str(args.library))
    library.version.restype = ctypes.c_char_p
    library.read_and_decode.argtypes = [
        *(ctypes.c_char_p, ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
        *[ctypes.c_int] * 5,
        ctypes.c_void_p,
    ]
    random = np.random.default_rng(0)
    jobs = []
    index = np.load(args.folder / "index-train.npz")
    paths = shards(args.folder)
    for row in range(args.records):
        path, offset, length = paths[index["shard"][row]], int(index["offset"][row]) + 12, int(index["length"][row])
        with Path(path).open("rb") as file:
            record = os.pread(file.fileno(), length, offset)
        frames = parse_sequence_example(record)[1]["image/encoded"]
        start = int(random.integers(len(frames) - (FRAMES - 1) * STRIDE))
        sizes = np.array([len(frame[0]) for frame in frames], np.int64)
        begins, end = np.zeros_like(sizes), 0
        for k, (frame,) in enumerate(frames):
            begins[k] = record.index(frame, end)
            end = begins[k] + sizes[k]
        chosen = slice(start, start + (FRAMES - 1) * STRIDE + 1, STRIDE)
        corner = int(random.integers(256 - CROP + 1)), int(random.integers(340 - CROP + 1))
        jobs.append((path, offset, length, begins[chosen].copy(), sizes[chosen].copy(), corner))
    longest = max(job[2] for job in jobs)
    buffers = threading.local()

    def decode(job: tuple[Any, ...]) -> None:
        path, offset, length, begins, sizes, (top, left) = job
        if not hasattr(buffers, "record"):
            buffers.record, buffers.pixels = np.empty(longest, np.uint8), np.empty((FRAMES, CROP, CROP, 3), np.uint8)
        begin, size = begins.ctypes.data, sizes.ctypes.data
        where = (path.encode(), offset, length, buffers.record.ctypes.data, begin, size, FRAMES)
        assert library.read_and_decode(*where, top, left, CROP, CROP, buffers.pixels.ctypes.data), path

    pool = concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    return lambda: pool.map(decode, jobs), f"libjpeg-turbo {library.version().decode()}"


CONTENDERS: dict[str, Callable[[argparse.Namespace], Contender]] = {
    "DMVR, float32 + flip": dmvr,
    "TFDS's decoding, uint8": tfds,
    "ours, float32 + flip": lambda args: ours(args, "float32"),
    "ours, uint8": lambda args: ours(args, "uint8"),
    "read + libjpeg-turbo": direct,
    "read + libjpeg-turbo, two cores": direct,
    "ours, uint8, two cores": lambda args: ours(args, "uint8"),
    "ten clips, DMVR": lambda args: dmvr(args, evaluation=True),
    "ten clips, ours, float32": lambda args: ours(args, "float32", evaluation=True),
    "ten clips, ours, uint8": lambda args: ours(args, "uint8", evaluation=True),
}


def shards(folder: Path) -> list[str]:
    return sorted(map(str, folder.glob("*.tfrecord-*")))


def contend(args: argparse.Namespace) -> None:
    """Answers each line of the standard input with the CPU and the wall-clock seconds of reading everything once.

    The clock runs from the first example to the last: a training job makes an iterator once for weeks.
    """
    read, about = CONTENDERS[args.contender](args)
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        before = time.process_time()
        times = [time.monotonic() for _ in read()]
        cpu_s = time.process_time() - before
        count = len(times)
        assert count == args.records, f"{args.contender}: {count} examples of {args.records}"
        print(json.dumps((cpu_s, (times[-1] - times[0]) * count / (count - 1))), flush=True)


class Process:
    """A contender in a process of its own, pinned, waiting to be asked for a round."""

    def __init__(self, name: str, python: str, cores: set[int], records: int, arguments: list[str]):
        self.records = records
        command = [python, __file__, "--contender", name, "--records", str(records), *arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("VERBOSE") else subprocess.DEVNULL,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        self.about = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._process.args} has failed; with VERBOSE=1 it says why")
        return json.loads(line)

    def round(self) -> tuple[float, float]:
        """Returns CPU and wall-clock milliseconds an example."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        cpu_s, wall_s = self._answer()
        return 1e3 * cpu_s / self.records, 1e3 * wall_s / self.records

    def close(self) -> None:
        self._process.communicate()


def measure(args: argparse.Namespace, folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Returns each contender's rounds, by turns after one that warms up."""
    print(f"making {args.records} records …", flush=True)
    data = make_data(folder, Path(os.environ["KINETICS_TEST_DATA"]).resolve(), args.records)
    tfds_python = make_tfds_python(folder / "tfds")
    arguments = ["--folder", str(data), "--library", str(make_library(folder)), "--dmvr", str(args.dmvr)]
    cores = sorted(os.sched_getaffinity(0))
    processes = {}
    for name in CONTENDERS:
        if "DMVR" in name and not args.dmvr:
            continue
        pinned = set(cores[-2:]) if "two cores" in name else {cores[-1]}
        records = min(EVAL_RECORDS, args.records) if "ten clips" in name else args.records
        python = tfds_python if "TFDS" in name else sys.executable
        processes[name] = Process(name, python, pinned, records, arguments)
        print(f"  {name}: {processes[name].about}", flush=True)
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
    for number in range(args.rounds + 1):
        for name, process in processes.items():
            result = process.round()
            if number:
                rounds[name].append(result)
    for process in processes.values():
        process.close()
    return rounds


def measure_recipes(args: argparse.Namespace, folder: Path) -> None:
    """Prints for each recipe the clips a second of a core, and its cost by the floor's."""
    print(f"making {args.records} records …", flush=True)
    args.folder = make_data(folder, Path(os.environ["KINETICS_TEST_DATA"]).resolve(), args.records)
    args.library = make_library(folder)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before TensorFlow counts the cores
    import tf_data

    floor = f"{FRAMES} frames of {CROP}², read + libjpeg-turbo"
    decode = direct(args)[0]
    readers = {floor: lambda: itertools.chain.from_iterable(decode() for _ in range(EPOCHS))}
    for name, recipe in RECIPES.items():
        source = {"name": str(args.folder), "split": "train", "seed": 0, "num_epochs": EPOCHS, **recipe}
        for how, more in {"uint8": {"dtype": "uint8", "augment": ()}, "float32, augmented": {}}.items():
            readers[f"{name}, {how}"] = functools.partial(iter, tf_data.load(**source, **more))
    costs: dict[str, list[float]] = {name: [] for name in readers}
    for number in range(args.rounds + 1):
        for name, read in readers.items():
            before = time.process_time()
            count = sum(1 for _ in read())
            assert count == EPOCHS * args.records, name
            if number:
                costs[name].append((time.process_time() - before) / count)
    for name, seconds in costs.items():
        by_floor = statistics.median(one / other for one, other in zip(seconds, costs[floor], strict=True))
        print(f"{name:45}{1 / statistics.median(seconds):8.1f} clips a second of a core{by_floor:8.2f} × the floor")


def report(rounds: dict[str, list[tuple[float, float]]]) -> None:
    cpu = {name: statistics.median(cpu_ms for cpu_ms, _ in values) for name, values in rounds.items()}
    wall = {name: min(wall_ms for _, wall_ms in values) for name, values in rounds.items()}
    print(f"\n{'':34}{'CPU ms, median':>16}{'least':>8}{'wall ms, least':>16}")
    for name, values in rounds.items():
        print(f"{name:34}{cpu[name]:16.1f}{min(ms for ms, _ in values):8.1f}{wall[name]:16.1f}")

    def ratio(slower: str, faster: str) -> float | None:
        """The median of the rounds' ratios: what slows a round down, slows both."""
        if slower not in rounds or faster not in rounds:
            return None
        pairs = zip(rounds[slower], rounds[faster], strict=True)
        return statistics.median(one[0] / other[0] for one, other in pairs)

    def gain(name: str) -> float:
        """What a second core brings, in the best rounds."""
        return wall[name] / wall[f"{name}, two cores"]

    lines = [
        ("uint8: × DMVR's speed", ratio("DMVR, float32 + flip", "ours, uint8"), "at least 1.70"),
        ("float32 + flip: × DMVR's speed", ratio("DMVR, float32 + flip", "ours, float32 + flip"), "at least 1.25"),
        ("uint8: × the cost of read + libjpeg-turbo", ratio("ours, uint8", "read + libjpeg-turbo"), "at most 1.30"),
        ("uint8: × the speed of TFDS's decoding", ratio("TFDS's decoding, uint8", "ours, uint8"), ""),
        ("ten clips, uint8: × DMVR's speed", ratio("ten clips, DMVR", "ten clips, ours, uint8"), "at least 3.60"),
        ("ten clips, float32: × DMVR's speed", ratio("ten clips, DMVR", "ten clips, ours, float32"), ""),
        ("two cores: × the examples a second of one, best round", gain("ours, uint8"), "at least 1.85"),
        ("two cores: the same of read + libjpeg-turbo", gain("read + libjpeg-turbo"), ""),
    ]
    print()
    for what, value, target in lines:
        if value is not None:
            print(f"{what:56}{value:6.2f}{f'   target: {target}' if target else ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dmvr", type=Path, help="a checkout of DMVR")
    parser.add_argument("--records", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--recipes", action="store_true", help="measure what models' training views cost, instead")
    for name in ("--contender", "--folder", "--library"):  # how this program starts its contenders
        parser.add_argument(name, type=str if name == "--contender" else Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        return contend(args)
    if "KINETICS_TEST_DATA" not in os.environ:
        sys.exit("needs real clips: set KINETICS_TEST_DATA to the folder that holds videos/")
    with tempfile.TemporaryDirectory() as name:
        if args.recipes:
            measure_recipes(args, Path(name))
        else:
            report(measure(args, Path(name)))


if __name__ == "__main__":
    main()
