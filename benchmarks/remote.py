"""Reads records from a slow object store through TensorFlow's own client of `gs://`.

    python -m benchmarks.remote [--first_byte_ms 60] [--mb_per_s 60]

The store is `tests/object_store.py` in a process of its own. Each line is one way of reading: records a second,
requests a record, bytes sent against what the records hold, and CPU of the reading process. `blocks` is TensorFlow's
setting GCS_READ_CACHE_BLOCK_SIZE_MB: 64 is its default; at 0 it reads what is asked for.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from beam_pipeline.tfrecord import ShardWriter
from tests.object_store import ObjectStore

_WAYS = ("shards", "offsets")


def _write_shards(folder: Path, num_shards: int, records_per_shard: int, record_bytes: int) -> None:
    folder.mkdir(parents=True)
    record = np.random.default_rng(0).bytes(record_bytes)
    for shard in range(num_shards):
        with (folder / f"noise-{shard:05d}").open("wb") as file:
            writer = ShardWriter(file)
            for _ in range(records_per_shard):
                writer.write(record)


def _serve(folder: Path, first_byte_s: float, bytes_per_s: float, pipe: Connection) -> None:
    """Serves until the pipe closes; answers each message with the reads since the last one: how many, bytes."""
    with ObjectStore(folder, first_byte_s=first_byte_s, bytes_per_s=bytes_per_s) as store:
        pipe.send(store.environment)
        while pipe.recv():
            reads, store.requests = store.requests, []
            pipe.send((len(reads), sum(read.size for read in reads)))


def _measure(args: argparse.Namespace) -> None:
    """Reads in one way and prints its line; in a process of its own, as TensorFlow's setting is for its life."""
    import tensorflow as tf

    from tf_data import reading
    from tf_data.index import Records

    here, there = multiprocessing.Pipe()
    serve = (args.folder, args.first_byte_ms / 1e3, args.mb_per_s * 1e6, there)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=serve, daemon=True)
    process.start()
    os.environ.update(here.recv())
    paths = tuple(f"gs://bucket/noise-{shard:05d}" for shard in range(args.shards))
    count = args.shards * args.records
    if args.way == "shards":
        ds = reading.read_all(
            paths,
            seed=0,
            shuffle=True,
            num_epochs=1,
            num_hosts=1,
            host=0,
            files_at_once=args.in_flight,
            shuffle_buffer=1,
        )
    else:
        records = Records(
            paths,
            np.repeat(np.arange(args.shards, dtype=np.int32), args.records),
            np.tile(np.arange(args.records) * (args.record_bytes + reading.FRAMING_BYTES), args.shards),
            np.full(count, args.record_bytes, np.int64),
            np.zeros(count, np.int64),
            np.full(count, -1, np.int64),
        )
        runs = np.random.default_rng(0).permutation(count // args.run_length)
        rows = (runs[:, None] * args.run_length + np.arange(args.run_length)).ravel()
        keys = tf.data.Dataset.from_tensor_slices((rows, np.zeros(len(rows), np.int64), np.ones(len(rows), bool)))
        ds = reading.read_records(
            keys, records, remote=True, reads_in_flight=args.in_flight, run_length=args.run_length
        )
    options = tf.data.Options()
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    ds = ds.map(lambda record, *rest: tf.strings.length(record)).with_options(options)
    begin, cpu = time.monotonic(), time.process_time()
    read = sum(int(length) for length in ds)
    seconds, cpu = time.monotonic() - begin, time.process_time() - cpu
    here.send(True)
    requests, sent = here.recv()
    here.send(False)
    process.join()
    assert read >= args.record_bytes * (count - count % args.run_length)
    print(
        f"{args.record_bytes / 1e6:7.2f} {args.way:8} {args.blocks:>6} {args.run_length:4d} {args.in_flight:6d}"
        f"{count / seconds:9.1f} {read / seconds / 1e6:8.0f} {requests / count:9.2f} {sent / read:7.2f} "
        f"{1e3 * cpu / count:8.2f}",
        flush=True,
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--first_byte_ms", type=float, default=60)
    parser.add_argument("--mb_per_s", type=float, default=60)
    parser.add_argument("--record_bytes", type=int, default=7_000_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--records", type=int, default=32, help="records a shard")
    parser.add_argument("--blocks", default="0", help="TensorFlow's setting in MB")
    parser.add_argument("--run_length", type=int, default=1)
    parser.add_argument("--in_flight", type=int, default=16, help="requests by offset, or shards, read at once")
    parser.add_argument("--folder", type=Path, help="holds the folder bucket/ of shards")
    parser.add_argument("--way", choices=_WAYS, help="measures this one way; by default, a table of ways")
    args = parser.parse_args(argv)
    if args.way:
        return _measure(args)
    print(f"first byte after {args.first_byte_ms:g} ms, {args.mb_per_s:g} MB/s a connection")
    print("     MB way      blocks  run flight  records/s  MB/s requests   bytes   CPU ms\n"
          "                                                     a record    × held  a record")  # fmt: skip
    for record_bytes, shards, records in ((7_000_000, 2, 16), (200_000, 2, 128)):
        runs = [(1, 1), (1, 4), (1, 16), (1, 32), (4, 4)] + ([(10, 16)] if record_bytes < 1_000_000 else [])
        ways = [("offsets", "0", run_length, reads) for run_length, reads in runs]
        ways += [("offsets", "64", 1, 4), ("shards", "0", 1, 2)]
        with tempfile.TemporaryDirectory() as folder:
            _write_shards(Path(folder) / "bucket", shards, records, record_bytes)
            for way, blocks, run_length, in_flight in ways:
                values = {
                    "folder": folder,
                    "way": way,
                    "blocks": blocks,
                    "run_length": run_length,
                    "in_flight": in_flight,
                    "record_bytes": record_bytes,
                    "shards": shards,
                    "records": records,
                    "first_byte_ms": args.first_byte_ms,
                    "mb_per_s": args.mb_per_s,
                }
                flags = [f"--{name}={value}" for name, value in values.items()]
                environment = os.environ | {"GCS_READ_CACHE_BLOCK_SIZE_MB": blocks, "TF_CPP_MIN_LOG_LEVEL": "3"}
                command = [sys.executable, "-m", "benchmarks.remote", *flags]
                subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
