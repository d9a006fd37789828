"""Colours: every encoding of video becomes JPEG's, without bias, with the same bits on every CPU."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.media.color import Encoding, affine_to_jpeg, conversion_to_jpeg, encoding_of, to_jpeg_ycbcr

MATRICES = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
ENCODINGS = [Encoding(matrix, full) for matrix, full in itertools.product(MATRICES, (False, True))]
NOT_JPEGS = [encoding for encoding in ENCODINGS if encoding != Encoding(6, True)]


def ycbcr_of(rgb: np.ndarray, encoding: Encoding) -> np.ndarray:
    """(…, 3) sample values, not rounded, of (…, 3) RGB in levels 0–255, by the definition of YCbCr."""
    kr, kb = MATRICES[encoding.matrix]
    r, g, b = np.moveaxis(np.asarray(rgb, np.float64) / 255, -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    if encoding.full_range:
        return np.stack([255 * y, 128 + 255 * cb, 128 + 255 * cr], -1)
    return np.stack([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr], -1)


def converted(planes: list[np.ndarray], encoding: Encoding) -> list[np.ndarray]:
    out = [np.empty_like(plane) for plane in planes]
    return list(to_jpeg_ycbcr(tuple(planes), conversion_to_jpeg(encoding), *out))


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_the_affine_map_takes_each_colour_to_jpegs_samples_of_it(encoding):
    rgb = np.random.default_rng(1).uniform(0, 255, (500, 3))
    samples = np.concatenate([ycbcr_of(rgb, encoding), np.ones((500, 1))], 1)
    assert np.allclose(samples @ affine_to_jpeg(encoding).T, ycbcr_of(rgb, Encoding(6, True)), atol=1e-6)


@pytest.mark.parametrize("encoding", NOT_JPEGS, ids=str)
def test_planes_are_converted_to_within_a_level_and_without_bias(encoding):
    rng = np.random.default_rng(2)
    colours = rng.uniform(8, 247, (20, 30, 3))
    planes = [np.rint(np.repeat(np.repeat(ycbcr_of(colours, encoding)[..., i], 16, 0), 16, 1)) for i in range(3)]
    planes = [planes[0].astype(np.uint8), planes[1][::2, ::2].astype(np.uint8), planes[2][::2, ::2].astype(np.uint8)]
    got = converted(planes, encoding)
    samples = [planes[0].astype(np.float64)]
    samples += [np.repeat(np.repeat(plane.astype(np.float64), 2, 0), 2, 1) for plane in planes[1:]]
    exact = np.stack([*samples, np.ones_like(samples[0])], -1) @ affine_to_jpeg(encoding).T
    inner = (slice(8, None, 16), slice(8, None, 16))  # away from the colours' borders, where chroma is interpolated
    luma_error = got[0][inner] - exact[inner][..., 0]
    assert np.abs(luma_error).max() < 0.8
    assert abs(luma_error.mean()) < 0.05
    for plane, component in ((got[1], 1), (got[2], 2)):
        assert np.abs(plane - exact[::2, ::2, component]).max() < 0.53


@pytest.mark.parametrize("encoding", NOT_JPEGS, ids=str)
def test_float32_holds_every_product_and_sum_exactly_so_that_no_cpu_rounds_otherwise(encoding):
    conversion = conversion_to_jpeg(encoding)
    for blend in filter(None, (conversion.luma, conversion.cb, conversion.cr, conversion.correction)):
        largest_sum = 255 * abs(blend[0]) + 255 * abs(blend[1]) + abs(blend[2])
        unit = 2.0 ** (np.ceil(np.log2(largest_sum)) - 24)  # float32 holds 24 bits
        assert all(weight % unit == 0 for weight in blend)


@pytest.mark.parametrize("encoding", NOT_JPEGS, ids=str)
def test_grey_stays_grey(encoding):
    levels = np.arange(16, 236, dtype=np.uint8).repeat(2).reshape(-1, 2).repeat(2, 0)
    grey = np.full((levels.shape[0] // 2, 1), 128, np.uint8)
    _, cb, cr = converted([levels, grey, grey], encoding)
    assert set(cb.ravel()) == set(cr.ravel()) == {128}


def test_odd_sizes_keep_their_last_row_and_column():
    encoding = Encoding(1, False)
    planes = [np.full((7, 5), 180, np.uint8), np.full((4, 3), 90, np.uint8), np.full((4, 3), 160, np.uint8)]
    for plane in converted(planes, encoding):
        assert len(set(plane.ravel())) == 1


def test_what_is_brighter_than_white_is_white_when_rgb_would_clip_it():
    # (250, 124, 122) in limited range is RGB (264, 279, 266): white. Luma alone clipped, red would be 247.
    planes = [np.full((16, 16), 250, np.uint8), np.full((8, 8), 124, np.uint8), np.full((8, 8), 122, np.uint8)]
    y, cb, cr = converted(planes, Encoding(6, False))
    assert set(y.ravel()) == {255}
    assert set(cb.ravel()) == set(cr.ravel()) == {128}


@pytest.mark.parametrize("sample", list(itertools.product((236, 240, 250, 254), (60, 100, 140, 200), (128,))))
@pytest.mark.parametrize("swapped", [False, True])
def test_bright_colours_are_those_that_rgb_clips_to(sample, swapped):
    y, cb, cr = sample if not swapped else (sample[0], sample[2], sample[1])
    luma, cb_plane, cr_plane = converted(
        [np.full((8, 8), y, np.uint8), np.full((4, 4), cb, np.uint8), np.full((4, 4), cr, np.uint8)], Encoding(6, False)
    )
    full = affine_to_jpeg(Encoding(6, False)) @ [y, cb, cr, 1]
    ours = [float(plane[2, 2]) for plane in (luma, cb_plane, cr_plane)]
    assert np.abs(clipped_rgb(full) - clipped_rgb(ours)).max() <= 2


def clipped_rgb(jpeg_samples) -> np.ndarray:
    y, cb, cr = jpeg_samples
    rgb = [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)]
    return np.clip(rgb, 0, 255)


@pytest.mark.parametrize(
    ("width", "height", "matrix"),
    [(340, 256, 6), (720, 576, 6), (854, 480, 6), (1280, 544, 1), (720, 720, 1), (1920, 1080, 1)],
)
def test_an_unnamed_matrix_is_that_of_the_definition(width, height, matrix):
    assert encoding_of(2, False, width, height).matrix == matrix


def test_a_named_matrix_wins_over_the_size():
    assert encoding_of(9, True, 320, 240) == Encoding(9, True)


@pytest.mark.parametrize("matrix", [0, 8, 10, 14])
def test_a_matrix_that_is_none_is_refused_by_name(matrix):
    with pytest.raises(ClipError, match="colour matrix") as refused:
        encoding_of(matrix, False, 1280, 720)
    assert refused.value.reason == "unsupported"
