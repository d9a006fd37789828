"""Archives that are damaged, or made with bad intent: always a clear outcome, and nothing outside the store."""

from __future__ import annotations

import gzip
import io
import random
import shutil
import signal
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from beam_pipeline.sources.archives import Archive, ArchiveFailure, fetch_archive
from beam_pipeline.sources.tar_stream import members
from beam_pipeline.store import FETCH_DIR

SEEDS = 21
ARCHIVES_A_SEED = 500
LIMIT_S = 10  # of one archive, which takes milliseconds
CLIPS = {f"abcdefghi{n:02d}_{n:06d}_{n + 10:06d}": random.Random(n).randbytes(700 * n) for n in range(4)}
FILES = {f"{name}.mp4": content for name, content in CLIPS.items()}
# A header's fields: where they start and end.
FIELDS = {
    "name": (0, 100),
    "mode": (100, 108),
    "size": (124, 136),
    "kind": (156, 157),
    "linkname": (157, 257),
    "magic": (257, 265),
    "prefix": (345, 500),
    "sparse map": (386, 482),
    "is extended": (482, 483),
    "real size": (483, 495),
}
NUMBERS = (0, 1, 511, 512, 513, 1 << 20, (1 << 33) - 1, 1 << 40, 1 << 62, -1, -512)


def _info(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **fields) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content), kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def _base(form: int) -> bytes:
    """A small archive with every kind of header that a form has."""
    long = {} if form == tarfile.USTAR_FORMAT else {"deep": "folder/" * 30}
    entries = [
        _info("val/", kind=tarfile.DIRTYPE),
        *(_info(f"val/{name}", content) for name, content in list(FILES.items())[:2]),
        _info("link.mp4", kind=tarfile.SYMTYPE, linkname="../" * 20 + "etc/passwd"),
        _info("hard.mp4", kind=tarfile.LNKTYPE, linkname="val"),
        _info("fifo.mp4", kind=tarfile.FIFOTYPE),
        _info("device.mp4", kind=tarfile.CHRTYPE, devmajor=1, devminor=3),
        *(_info(f"{long.get('deep', 'x/')}{name}", content) for name, content in list(FILES.items())[2:]),
    ]
    if long:
        entries.append(_info("l.mp4", kind=tarfile.SYMTYPE, linkname=long["deep"]))
    if form == tarfile.PAX_FORMAT:
        entries.append(_info("é.mp4", b"umlaut", pax_headers={"comment": "x" * 100, "size": "6", "mtime": "1.5"}))
    buffer = io.BytesIO()
    pax_headers = {"comment": "global"} if form == tarfile.PAX_FORMAT else {}
    with tarfile.open(fileobj=buffer, mode="w", format=form, pax_headers=pax_headers) as file:
        for info, content in entries:
            file.addfile(info, io.BytesIO(content))
    content = buffer.getvalue()
    return content[: len(content.rstrip(b"\0")) // 512 * 512 + 512] + bytes(1024)


BASES = [_base(form) for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]


def _headers(content: bytes | bytearray) -> list[int]:
    """Where there are blocks that look like headers."""
    return [at for at in range(0, len(content) - 511, 512) if content[at + 257 : at + 262] == b"ustar"] or [0]


def _seal(content: bytearray, at: int) -> None:
    """Makes the checksum of the header there right again."""
    content[at + 148 : at + 156] = b" " * 8
    content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])


def _number(draw: random.Random) -> bytes:
    number = draw.choice([*NUMBERS, draw.randrange(1 << 16)])
    forms = [b"%o\0" % max(0, number), b"%d " % number, (number % (1 << 88)).to_bytes(11, "big")]
    form = draw.choice(forms)
    return (b"\xff" if number < 0 else b"\x80") + form if form is forms[2] else form.rjust(12, b"0")[-12:]


def flip_bytes(content: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice([1, 1, 2, 8, 64])):
        content[draw.randrange(len(content))] = draw.choice([0, 255, draw.randrange(256)])


def cut_off(content: bytearray, draw: random.Random) -> None:
    del content[draw.randrange(1, len(content)) :]


def change_a_field(content: bytearray, draw: random.Random) -> None:
    at = draw.choice(_headers(content))
    for _ in range(draw.choice([1, 1, 2, 3])):
        start, end = FIELDS[draw.choice(list(FIELDS))]
        width = end - start
        value = draw.choice(
            [
                draw.randbytes(width),
                bytes([draw.choice(b"01234567LKxgXSVMDNA\0\xff")]) * width,
                _number(draw),
                b"../" * 60,
                b"/" + next(iter(FILES)).encode(),
                b"",
            ]
        )
        content[at + start : at + end] = value[:width].ljust(width, b"\0")
    _seal(content, at)


def change_the_kind(content: bytearray, draw: random.Random) -> None:
    at = draw.choice(_headers(content))
    content[at + 156] = draw.choice(b"01234567LKxgXSVMDNA\0\xff")
    if draw.random() < 0.5:
        content[at + 124 : at + 136] = _number(draw).ljust(12, b"\0")
    _seal(content, at)


def change_long_headers(content: bytearray, draw: random.Random) -> None:
    """Rewrites what a pax header or a long name says, within its size."""
    long = [at for at in _headers(content) if content[at + 156 : at + 157] in b"xgLK"]
    if not long:
        change_a_field(content, draw)
        return
    at = draw.choice(long) + 512
    records = [b"30 path=../../../etc/passwd\n", b"9 size=-1", b"20 size=99999999999\n", b"0 a=b\n", b"999999 a=b\n"]
    records += [
        b"25 GNU.sparse.major=1\n",
        b"22 GNU.sparse.map=1,2,\n",
        b"19 path=/a/b/c.mp4\n",
        b"x" * 60,
        b"\xff\xfe=",
    ]
    record = draw.choice(records)
    at += draw.choice([0, 0, draw.randrange(100)])
    content[at : at + len(record)] = record


def move_blocks(content: bytearray, draw: random.Random) -> None:
    blocks = [content[at : at + 512] for at in range(0, len(content), 512)]
    source, target = draw.randrange(len(blocks)), draw.randrange(len(blocks))
    block = blocks[source] if draw.random() < 0.5 else blocks.pop(source)
    blocks[target:target] = [block] * draw.choice([1, 1, 50])
    content[:] = b"".join(blocks)


MUTATIONS: list[Callable[[bytearray, random.Random], None]] = [
    flip_bytes,
    cut_off,
    change_a_field,
    change_the_kind,
    change_long_headers,
    move_blocks,
]


def mutated(draw: random.Random) -> bytes:
    content = bytearray(draw.choice(BASES))
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        if len(content) >= 1024:
            draw.choice(MUTATIONS)(content, draw)
    if draw.random() < 0.3:
        content = bytearray(gzip.compress(content, draw.choice([0, 1, 6]), mtime=0))
        if draw.random() < 0.5:
            draw.choice([flip_bytes, cut_off])(content, draw)
    if draw.random() < 0.1:
        content += draw.choice([bytes(700), draw.randbytes(100), b"\x1f\x8b", draw.choice(BASES)])
    return bytes(content)


@contextmanager
def watchdog() -> Iterator[None]:
    """Fails where an archive takes longer than any may."""

    def bark(_number: int, _frame: object) -> None:
        raise AssertionError(f"took longer than {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory, where there is such a disk: thousands of archives are put on it."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as path:
        yield Path(path)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_mutated_archives(folder: Path, seed: int) -> None:
    failures = 0
    for number in range(ARCHIVES_A_SEED):
        path, store = folder / "part_0.tar", folder / "store"
        path.write_bytes(mutated(random.Random(f"{seed}/{number}")))
        archive = Archive(str(path), "val", False)
        with watchdog():
            found = list(fetch_archive(archive, str(store), CLIPS, stopping=threading.Event()))
        if isinstance(found[-1] if found else None, ArchiveFailure):
            failures += 1
            assert found.pop().reason in ("archive_corrupt", "unsupported"), number
        assert {each.name for each in folder.iterdir()} == {"part_0.tar", "store"}, number
        on_disk = {each.relative_to(store).as_posix(): each for each in store.rglob("*") if not each.is_dir()}
        assert [uri for uri in on_disk if uri.startswith(f"{FETCH_DIR}/") and not uri.endswith(".json")] == [], number
        clips = {uri: each for uri, each in on_disk.items() if not uri.startswith(f"{FETCH_DIR}/")}
        assert {each.uri: each.size for each in found} == {uri: each.stat().st_size for uri, each in clips.items()}
        assert all(uri.removeprefix("val/part_0/") in FILES for uri in clips), number
        assert not any(each.is_symlink() for each in store.rglob("*")), number
        shutil.rmtree(store)
    assert ARCHIVES_A_SEED / 10 < failures < ARCHIVES_A_SEED * 9 / 10  # mutations that always or never hurt test little


class _InMemory(io.BytesIO):
    """An archive as `members` reads it."""

    etag = ""

    @property
    def size(self) -> int:
        return len(self.getbuffer())

    @property
    def position(self) -> int:
        return self.tell()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_good_archives_are_read_as_the_standard_library_reads_them(form: int) -> None:
    for seed in range(400):
        draw = random.Random(seed)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as file:
            for number in range(draw.randrange(12)):
                parts = ["".join(draw.choices("aé-_. 0", k=draw.randrange(1, 40))) for _ in range(draw.choice([1, 3]))]
                if form != tarfile.USTAR_FORMAT:
                    parts *= draw.choice([1, 1, 8])
                kind = draw.choice([tarfile.REGTYPE] * 4 + [tarfile.DIRTYPE, tarfile.SYMTYPE])
                content = (
                    draw.randbytes(draw.choice([0, 1, 511, 512, 513, 4000])) if kind in tarfile.REGULAR_TYPES else b""
                )
                info, _ = _info(
                    "/".join([*parts, str(number)]), content, kind, linkname="target" * draw.choice([1, 30])
                )
                if kind != tarfile.SYMTYPE:
                    info.linkname = ""
                try:
                    file.addfile(info, io.BytesIO(content))
                except ValueError:  # too long for ustar
                    continue
        with tarfile.open(fileobj=io.BytesIO(buffer.getvalue()), encoding="utf-8") as file:
            expected = [
                (info.name, file.extractfile(info).read())  # type: ignore[union-attr]
                for info in file.getmembers()
                if info.isreg()
            ]
        found = [
            (member.name, b"".join(member.pieces))
            for member in members(_InMemory(buffer.getvalue()))
            if member.kind == "file"
        ]
        assert found == expected, seed
