"""What breaks under a job: processes, disks, memory, the clock. Afterwards nothing is lost, and no byte differs.

`make test-faults` kills more often (`KINETICS_KILLS`), at other moments each time; `KINETICS_SEED` repeats them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.beam_pipeline import command_line
from tests.beam_pipeline.clips_on_disk import write_clip, write_list

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("KINETICS_KILLS", "6"))
CLIPS = [f"clip{n:07d}_{n:06d}_{n + 1:06d}" for n in range(24)]
MISSING = CLIPS[3]
NUM_SHARDS = 3


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    for n, clip in enumerate(CLIPS):
        if clip != MISSING:
            write_clip(folder / f"{clip}.mp4", hue=n * 10, side=96)
    write_list(folder / "train.csv", CLIPS)
    return folder


@pytest.fixture(scope="module")
def undisturbed(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("undisturbed")
    run(store, data_dir)
    return data_dir


@pytest.fixture
def moments() -> random.Random:
    seed = int(os.environ.get("KINETICS_SEED", time.time_ns()))
    print(f"KINETICS_SEED={seed}")  # shown where the test fails
    return random.Random(seed)


def words(store: Path, data_dir: Path, *extra: str) -> list[str]:
    settings = {
        "name": "tiny",
        "splits.train.annotations": store / "train.csv",
        "splits.train.shards": NUM_SHARDS,
        "source.store": store,
        "workers": 2,
        "encode.shorter_side": 96,
        "flow.method": "dis",
    }
    pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return ["run", "--json", "--data_dir", str(data_dir), *pairs, *extra]


def command(store: Path, data_dir: Path, *extra: str) -> list[str]:
    """The same for a process of its own."""
    return [sys.executable, "-m", "beam_pipeline", *words(store, data_dir, *extra)]


def run(store: Path, data_dir: Path, *extra: str, status: int = 0, **how: object) -> str:
    """Runs the job; returns what it says: its summary, or on failure its error."""
    if how:  # of a process of its own
        done = subprocess.run(command(store, data_dir, *extra), cwd=ROOT, capture_output=True, text=True, **how)  # type: ignore[call-overload]
    else:
        done = command_line.call(words(store, data_dir, *extra))
    assert done.returncode == status, done.stderr
    return done.stdout or done.stderr


def folder(data_dir: Path) -> Path:
    return data_dir / "tiny" / "1.0.0"


def made(data_dir: Path) -> dict[str, object]:
    """What has to be the same: every file but `info`, byte for byte, and the ledger but for its tries."""
    found: dict[str, object] = {
        path.name: path.read_bytes()
        for path in folder(data_dir).iterdir()
        if path.is_file() and not path.name.startswith(("info-", "clips-"))
    }
    found["ledger"] = [row | {"attempts": 0, "attempted_at": ""} for row in ledger(data_dir)]
    info = json.loads((folder(data_dir) / "info-train.json").read_text())
    found["info"] = {key: value for key, value in info.items() if key != "configuration"}
    found["state"] = sorted(path.name for path in (folder(data_dir) / "state").iterdir())  # and nothing left over
    return found


def ledger(data_dir: Path) -> list[dict]:
    return pq.read_table(folder(data_dir) / "clips-train.parquet").to_pylist()


def fates(data_dir: Path) -> dict[str, str]:
    return {row["clip_id"]: row["reason"] for row in ledger(data_dir) if row["reason"]}


# -- Processes ----------------------------------------------------------------------------------------------------


def test_a_driver_killed_at_random_moments_leaves_what_the_next_run_ends_rightly(
    store: Path, undisturbed: Path, tmp_path: Path, moments: random.Random
) -> None:
    whole_s, data_dir = time_of(store, tmp_path), tmp_path / "killed"
    for kill in range(KILLS):
        process = subprocess.Popen(
            command(store, data_dir), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )
        # From the first second, in which nothing is there yet, to the last, in which all but a name may be.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(whole_s * moments.uniform(0.25, 1))
        process.kill()
        process.wait()
        if kill % 3 == 2:  # now and then a part is to be made anew
            for path in folder(data_dir).rglob("*-0000[01]-of-*"):
                path.unlink()
        wait_for_end_of_group(process.pid)
    run(store, data_dir)
    assert made(data_dir) == made(undisturbed)


def time_of(store: Path, tmp_path: Path) -> float:
    """Returns the seconds that a run takes here and now, in a process of its own."""
    started = time.monotonic()
    subprocess.run(command(store, tmp_path / "timed"), cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def wait_for_end_of_group(group: int) -> None:
    """No child outlives a killed run."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process of the killed run is still there")


def test_decoding_processes_killed_at_random_moments_cost_their_clips_a_run(
    store: Path, undisturbed: Path, tmp_path: Path, moments: random.Random
) -> None:
    whole_s, data_dir, killed = time_of(store, tmp_path), tmp_path / "killed", 0
    while killed < KILLS:
        started = time.monotonic()
        with subprocess.Popen(
            command(store, data_dir), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            while process.poll() is None:
                time.sleep(whole_s * moments.uniform(0.2, 0.6))  # in which others can start
                children = decoders(process.pid)
                if children and killed < KILLS:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(moments.choice(children), signal.SIGKILL)
                        killed += 1
            assert process.returncode == 0, process.stderr.read() if process.stderr else ""
        whole_s = min(whole_s, time.monotonic() - started)
        assert [row["clip_id"] for row in ledger(data_dir)] == [row["clip_id"] for row in ledger(undisturbed)]
        assert set(fates(data_dir).values()) <= {"not_found", "out_of_memory"}
        if killed < KILLS:
            shutil.rmtree(folder(data_dir))
    run(store, data_dir)
    assert made(data_dir) == made(undisturbed)


def decoders(parent: int) -> list[int]:
    """The processes that a run decodes with, of those that it has started."""
    found = []
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            for child in children.read_text().split():
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def test_of_two_runs_started_at_once_both_end_right_or_one_says_so(
    store: Path, undisturbed: Path, tmp_path: Path
) -> None:
    both = [
        subprocess.Popen(command(store, tmp_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [(process.communicate(timeout=300)[1], process.returncode) for process in both]
    # One that starts so slowly that the other has ended meanwhile has nothing to say, or to do.
    refused = (f"error: {folder(tmp_path)}: another run is at work there; wait for its end or stop it\n", 1)
    failed = [end for end in ends if end[1]]
    assert failed in ([], [refused]), ends
    assert made(tmp_path) == made(undisturbed)


# -- Disks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def mounts() -> None:
    """Skips where this machine gives nobody a small disk of one's own."""
    tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"needs to mount a small disk, which this machine forbids: {tried.stderr.strip()}")


ON_A_SMALL_DISK = """
mount -t tmpfs -o size="$SIZE" tmpfs "$DISK"
"$@" >"$KEPT/first.out" 2>"$KEPT/first.err"
echo $? >"$KEPT/first.status"
mount -o remount,size=1g "$DISK"
"$@" >"$KEPT/second.out" 2>"$KEPT/second.err"
echo $? >"$KEPT/second.status"
cp -a "$DISK" "$KEPT/disk"
"""


def on_a_small_disk(disk: Path, size: str, kept: Path, words: list[str]) -> None:
    """Runs a command twice with a disk of its own: once as small as said, then with room."""
    disk.mkdir(parents=True, exist_ok=True)
    kept.mkdir()
    env = os.environ | {"DISK": str(disk), "SIZE": size, "KEPT": str(kept)}
    subprocess.run(["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh", *words], cwd=ROOT, env=env, check=True)


@pytest.mark.parametrize("size", ["16k", "400k"])  # full at the first states, and in the midst of shards
def test_a_data_directory_without_room_stops_the_run_and_the_next_ends_it(
    store: Path, undisturbed: Path, tmp_path: Path, mounts: None, size: str
) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    on_a_small_disk(disk, size, kept, command(store, disk))
    assert (kept / "first.status").read_text() == "1\n"
    assert (kept / "first.err").read_text().startswith(f"error: {folder(disk)}: can't be written: No space left")
    assert (kept / "second.status").read_text() == "0\n", (kept / "second.err").read_text()
    assert made(kept / "disk") == made(undisturbed)


def test_a_store_without_room_stops_the_run_and_the_next_ends_it(store: Path, tmp_path: Path, mounts: None) -> None:
    with tarfile.open(tmp_path / "clips.tar", "w") as archive:
        for path in sorted(store.glob("*.mp4")):
            archive.add(path, path.name)
    settings = ("source.kind=archive", f"source.archives.train={tmp_path / 'clips.tar'}", "source.min_free_gib=0")
    words = [word for setting in settings for word in ("--set", setting)]
    disk, kept, roomy = tmp_path / "disk", tmp_path / "kept", tmp_path / "roomy"
    on_a_small_disk(disk, "36k", kept, command(store, tmp_path, *words, "--set", f"source.store={disk}"))
    assert (kept / "first.status").read_text() == "1\n"
    error = (kept / "first.err").read_text()
    assert error.startswith(f"error: {disk}: can't be written: ") and "No space left" in error
    assert (kept / "second.status").read_text() == "0\n", (kept / "second.err").read_text()
    run(store, tmp_path / "at_once", *words, "--set", f"source.store={roomy}")
    there, expected = made(tmp_path), made(tmp_path / "at_once")
    for each in (there, expected):
        each["ledger"] = [row | {"source_uri": Path(row["source_uri"]).name} for row in each["ledger"]]  # type: ignore[attr-defined]
    assert there == expected
    clips = {path.name for path in (kept / "disk").rglob("*.mp4")}
    assert clips == {f"{clip}.mp4" for clip in CLIPS if clip != MISSING}


def test_a_temporary_folder_without_room_is_no_obstacle(
    store: Path, undisturbed: Path, tmp_path: Path, mounts: None
) -> None:
    disk = tmp_path / "tmp"
    disk.mkdir()
    full = f'mount -t tmpfs -o size=64k tmpfs {disk}; cat /dev/zero >{disk}/full 2>/dev/null; TMPDIR={disk} exec "$@"'
    words = ["unshare", "-rm", "sh", "-c", full, "sh", *command(store, tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert made(tmp_path) == made(undisturbed)


ON_READ_ONLY = """
mount --bind "$DISK" "$DISK"
mount -o remount,bind,ro "$DISK"
exec "$@"
"""


def on_read_only(disk: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"DISK": str(disk)}
    read_only = ["unshare", "-rm", "sh", "-ec", ON_READ_ONLY, "sh", *words]
    return subprocess.run(read_only, cwd=ROOT, env=env, capture_output=True, text=True)


def test_a_read_only_data_directory_is_told_and_what_is_there_can_be_verified(
    store: Path, undisturbed: Path, tmp_path: Path, mounts: None
) -> None:
    for data_dir in (tmp_path, undisturbed):  # new, and finished
        done = on_read_only(data_dir, command(store, data_dir))
        assert done.returncode == 1
        assert (
            done.stderr
            == f"error: {folder(data_dir)}: can't be written: Read-only file system. Choose another data_dir\n"
        )
    verified = on_read_only(undisturbed, [sys.executable, "-m", "beam_pipeline", "verify", str(undisturbed)])
    assert verified.returncode == 0, verified.stderr
    assert "all is right" in verified.stdout


def test_a_read_only_store_serves_as_any_other(store: Path, undisturbed: Path, tmp_path: Path, mounts: None) -> None:
    done = on_read_only(store, command(store, tmp_path))
    assert done.returncode == 0, done.stderr
    assert made(tmp_path) == made(undisturbed)


def test_a_store_that_gives_no_clip_stops_the_run_and_the_next_ends_it(
    store: Path, undisturbed: Path, tmp_path: Path
) -> None:
    closed = tmp_path / "store"
    shutil.copytree(store, closed)
    clips = list(closed.glob("*.mp4"))
    for path in clips:
        path.chmod(0)
    as_others = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []  # root reads all
    done = subprocess.run([*as_others, *command(closed, tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {closed}: 10 clips in a row could not be read, the last: can't be read: P")
    assert done.stderr.count("\n") == 1
    for path in clips:
        path.chmod(0o600)
    run(closed, tmp_path)
    there, expected = made(tmp_path), made(undisturbed)
    for each in (there, expected):
        each["ledger"] = [row | {"source_uri": Path(row["source_uri"]).name} for row in each["ledger"]]  # type: ignore[attr-defined]
    assert there == expected


# -- What changes between two runs --------------------------------------------------------------------------------


def test_a_clip_replaced_by_one_of_its_size_and_time_is_noticed(store: Path, tmp_path: Path) -> None:
    changing = tmp_path / "store"
    shutil.copytree(store, changing)
    run(changing, tmp_path)
    path, other = changing / f"{CLIPS[5]}.mp4", (changing / f"{CLIPS[6]}.mp4").read_bytes()
    size, stamp = path.stat().st_size, path.stat().st_mtime_ns
    path.write_bytes((other + bytes(size))[:size] if len(other) < size else path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=(stamp, stamp))
    run(changing, tmp_path)
    run(changing, tmp_path / "at_once")
    assert made(tmp_path) == made(tmp_path / "at_once")
    attempts = {row["clip_id"]: row["attempts"] for row in ledger(tmp_path)}
    assert {clip for clip, count in attempts.items() if count == 2} == {MISSING, CLIPS[5]}


# The clock jumps by up to a day, back and forth, whenever a process looks at it.
JUMPING_CLOCK = """
import datetime, random, time
from beam_pipeline import clips
_time = time.time
def jump():
    return random.uniform(-86400, 86400)
class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=jump())
time.time = lambda: _time() + jump()
time.time_ns = lambda: int(time.time() * 1e9)
clips.datetime = Jumping  # Beam's compiled code takes no other class than the original
"""


def test_a_clock_that_jumps_changes_nothing(store: Path, undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(JUMPING_CLOCK)
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    run(store, tmp_path, "--limit", "8", status=3, env=env)
    run(store, tmp_path, env=env)
    assert len({row["attempted_at"][:13] for row in ledger(tmp_path)}) > 2  # as told by that clock
    assert made(tmp_path) == made(undisturbed)
    status = [*command(store, tmp_path)[:3], "status", *command(store, tmp_path)[5:]]
    told = subprocess.run(status, cwd=ROOT, env=env, capture_output=True, text=True)
    assert "24 of 24 (100.0%) clips done" in told.stdout, told.stderr


# -- Memory -------------------------------------------------------------------------------------------------------

MONSTER = "monster0000_000000_000001"


@pytest.fixture(scope="module")
def store_with_monster(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store, and a clip whose frames are 8192 × 8192 pixels without subsampled colour: 200 MB each."""
    folder = tmp_path_factory.mktemp("monster")
    for path in store.glob("*.mp4"):
        (folder / path.name).symlink_to(path)
    write_list(folder / "train.csv", [*CLIPS, MONSTER])
    side = 8192
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = side, side, "yuvj444p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.full((3, side, side), 128, np.uint8), format="yuvj444p")
    content = bytes(codec.encode(frame)[0])
    with av.open(str(folder / f"{MONSTER}.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = side, side, "yuvj444p"
        for k in range(25):
            packet = av.Packet(content)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, k, k, Fraction(1, 25)
            packet.is_keyframe = True
            container.mux(packet)
    return folder


def without_monster(data_dir: Path, of: Path) -> None:
    rows = {row["clip_id"]: row["bytes"] for row in ledger(data_dir)}
    assert fates(data_dir) == {MISSING: "not_found", MONSTER: "out_of_memory"}
    assert {clip: size for clip, size in rows.items() if clip != MONSTER} == {
        row["clip_id"]: row["bytes"] for row in ledger(of)
    }


def test_a_clip_that_needs_more_memory_than_it_may_take_is_one_row(
    store_with_monster: Path, undisturbed: Path, tmp_path: Path
) -> None:
    run(store_with_monster, tmp_path, "--set", "limits.memory_mib=256")
    without_monster(tmp_path, undisturbed)
    run(store_with_monster, tmp_path, "--set", "limits.memory_mib=4096")
    assert fates(tmp_path) == {MISSING: "not_found"}
    assert not any(row["damaged"] for row in ledger(tmp_path))


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group of 700 MiB; skips where this machine lets nobody make one."""
    root, limit = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
    if not root.exists():
        root, limit = Path("/sys/fs/cgroup"), "memory.max"  # the second version of control groups
    group = root / f"kinetics-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(700 << 20))
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"needs a control group for memory, which this machine does not give: {error.strerror}")
    yield group
    group.rmdir()


def test_a_clip_that_needs_more_memory_than_the_machine_has_is_one_row(
    store_with_monster: Path, undisturbed: Path, tmp_path: Path, small_memory: Path
) -> None:
    run(
        store_with_monster,
        tmp_path,
        *("--set", "limits.memory_mib=100000", "--set", "workers=1"),
        preexec_fn=lambda: (small_memory / "cgroup.procs").write_text(str(os.getpid())),
    )
    without_monster(tmp_path, undisturbed)
