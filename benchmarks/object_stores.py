"""What object stores cost the process that writes: CPU a call, and memory while a shard goes up.

    make test-object-stores   # once: the emulators' environment
    .engines/object_stores/bin/python -m benchmarks.object_stores

The stores are emulators in a process of their own (tests/object_stores). Each line is a store: CPU milliseconds of a
question for an object's size through Beam's file system, which makes a client for every call, and through
`beam_pipeline.files`; MB that writing a shard of 600 MB and reading it again add to the process's peak memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_CALLS = 30


def _cpu_ms(function: Callable[[], object]) -> float:
    function()
    begin = time.process_time()
    for _ in range(_CALLS):
        function()
    return 1e3 * (time.process_time() - begin) / _CALLS


def _memory_mb(field: str) -> float:
    """Returns `VmRSS`, what the process has now, or `VmHWM`, the most since `_forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _measure(root: str, num_records: int, record_bytes: int) -> None:
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_pipeline import files
    from beam_pipeline.tfrecord import ShardWriter, read_records

    FileSystems.set_options(PipelineOptions([]))
    files.write_whole(f"{root}/small", b"x")
    record = os.urandom(record_bytes)
    before = _memory_mb("VmRSS")
    _forget_peak()  # making a client had one
    with files.create(f"{root}/shard.partial") as file:
        writer = ShardWriter(file)
        for _ in range(num_records):
            writer.write(record)
    written = _memory_mb("VmHWM") - before
    files.publish(f"{root}/shard.partial", f"{root}/shard")
    _forget_peak()
    assert sum(1 for _ in read_records(f"{root}/shard")) == num_records
    read = _memory_mb("VmHWM") - before
    through_beam = _cpu_ms(lambda: FileSystems.get_filesystem(root).size(f"{root}/small"))
    ours = _cpu_ms(lambda: files.size(f"{root}/small"))
    print(
        f"{root.partition(':')[0]}: {through_beam:.1f} ms a call through Beam's file system, {ours:.1f} ms by ours; "
        f"peak +{written:.0f} MB writing {num_records * record_bytes / 1e6:.0f} MB, +{read:.0f} MB reading it"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num_records", type=int, default=75)
    parser.add_argument("--record_bytes", type=int, default=8_000_000)
    parser.add_argument("--root", help=argparse.SUPPRESS)  # given: measure it, with what the environment says
    args = parser.parse_args()
    if args.root:
        _measure(args.root, args.num_records, args.record_bytes)
        return
    from tests.object_stores.clouds import amazon, google

    with tempfile.TemporaryDirectory() as folder:
        for store in (google(Path(folder)), amazon()):
            with store as cloud:
                sizes = ["--num_records", str(args.num_records), "--record_bytes", str(args.record_bytes)]
                command = [sys.executable, "-m", "benchmarks.object_stores", "--root", cloud.url, *sizes]
                subprocess.run(command, env=os.environ | cloud.environment, check=True)


if __name__ == "__main__":
    main()
