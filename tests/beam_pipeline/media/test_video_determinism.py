"""The same bytes on any x86-64 processor: every real file, once more with the vector instructions taken away."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# AVX and AVX2 off in each library that touches pixels; what is left, SSE2 to SSE4, any x86-64 processor of today has.
SSSE3 = 0x0001 | 0x0002 | 0x0008 | 0x0010 | 0x0040 | 0x0080  # MMX, MMXEXT, SSE, SSE2, SSE3, SSSE3 in libavutil/cpu.h
LESSER_PROCESSORS = {
    "libav without AVX": {"LIBAV_CPU_FLAGS": str(SSSE3)},
    "libav in plain C": {"LIBAV_CPU_FLAGS": "0"},
    "OpenCV, libjpeg-turbo and NumPy without AVX": {
        "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2,FP16,AVX,FMA3,SSE4.2,SSE4.1,SSSE3",
        "OPENCV_IPP": "sse42",
        "JSIMD_FORCESSE2": "1",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
    },
}

HASH_ALL_FILES = r"""
import ctypes, hashlib, os, pathlib, sys
import av, cv2
from beam_pipeline.clips import ClipError
from beam_pipeline.media.container import open_container
from beam_pipeline.media.settings import Encode
from beam_pipeline.media.video import read_frames

av.logging.set_level(av.logging.PANIC)
cv2.setNumThreads(1)
if flags := os.environ.get("LIBAV_CPU_FLAGS"):
    loaded = {line.split()[-1] for line in open("/proc/self/maps") if "av.libs" in line}  # OpenCV brings its own
    (libavutil,) = [ctypes.CDLL(path) for path in loaded if "libavutil" in path]
    (dav1d,) = [ctypes.CDLL(path) for path in loaded if "libdav1d" in path]
    assert libavutil.av_get_cpu_flags() & ~int(flags), "this processor has nothing to take away"
    libavutil.av_force_cpu_flags(int(flags))
    assert libavutil.av_get_cpu_flags() & ~int(flags) == 0
    dav1d.dav1d_set_cpu_flags_mask(1 if int(flags) else 0)  # SSE2, or nothing
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    for resize, shorter_side in (("area", 256), ("bicubic", 112)):
        encode = Encode(min_duration_s=0, resize=resize, shorter_side=shorter_side)
        try:
            with open_container(str(path)) as container:
                frames = read_frames(container, 0, 800_000, "true", encode, keep_luma=True)
        except ClipError as error:
            print(path.name, resize, error.reason)
            continue
        pixels = hashlib.blake2b(b"".join([*frames.jpegs, *map(bytes, frames.luma), bytes(frames.middle_luma)]))
        print(path.name, resize, pixels.hexdigest(), frames.mean_luma.hex())
"""


def hashes(videos: str, **environment: str) -> list[str]:
    command = [sys.executable, "-c", HASH_ALL_FILES, videos]
    run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.fixture(scope="module")
def here(test_data) -> list[str]:
    return hashes(str(test_data / "videos"))


@pytest.mark.parametrize("processor", LESSER_PROCESSORS)
def test_a_lesser_processor_gives_the_same_bytes(test_data, here, processor):
    assert len(here) == 84
    there = hashes(str(test_data / "videos"), **LESSER_PROCESSORS[processor])
    assert [pair for pair in zip(here, there, strict=True) if pair[0] != pair[1]] == []
