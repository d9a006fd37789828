"""From the many kinds of YCbCr in video files to the one kind in a JPEG file: full range, BT.601 matrix (JFIF).

Limited range becomes full, and BT.709, BT.2020, SMPTE 240M and FCC coefficients become BT.601's, on the small planes
that are about to be encoded and never by way of RGB. All the arithmetic is affine: chroma from chroma alone (grey stays
grey under every matrix), luma from luma and, where the matrix changes, from chroma brought to luma's resolution.

High dynamic range (PQ, HLG) is not tone-mapped: its code values are converted as if they were BT.2020's gamma, so such
clips look flat, as they do in any pipeline that ignores the transfer function. Primaries are left as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from beam_pipeline.clips import ClipError

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]

# (Kr, Kb) of each matrix, by AVColorSpace number (libavutil/pixfmt.h; values from ITU-T H.273, table 4).
_BT601 = (0.299, 0.114)
_COEFFICIENTS = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: _BT601,  # BT.470BG
    6: _BT601,  # SMPTE 170M
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020, non-constant luminance
}
_UNSPECIFIED = (2, 3)  # AVCOL_SPC_UNSPECIFIED, and the reserved value that some encoders write
_NOT_CONVERTIBLE = {0: "RGB in YUV planes", 8: "YCgCo", 10: "BT.2020 constant luminance", 14: "ICtCp", 15: "IPT-C2"}
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG

# Where a file does not name its matrix, size decides, as in mpv (video/mp_image.c, mp_csp_guess_colorspace): 576 lines
# is the tallest standard-definition picture, and 1280 columns the narrowest high-definition one.
_HD_WIDTH = 1280
_SD_HEIGHT = 576


@dataclass(frozen=True, slots=True)
class Encoding:
    """How samples stand for colours: an AVColorSpace number out of `_COEFFICIENTS`, and full or limited range."""

    matrix: int
    full_range: bool


JPEG_ENCODING = Encoding(matrix=5, full_range=True)


@dataclass(frozen=True, slots=True)
class Conversion:
    """Coefficients that take 8-bit samples of one encoding to JPEG's.

    cb' = cb[0]·cb + cb[1]·cr + cb[2], and cr' and the correction likewise;
    y' = luma[0]·y + luma[1]·correction + luma[2]. The correction, which is there where the matrix changes, travels as
    8-bit samples at chroma's resolution, in steps of half a level of luma or less.
    """

    luma: tuple[float, ...]
    cb: tuple[float, ...]
    cr: tuple[float, ...]
    correction: tuple[float, ...] | None


def encoding_of(matrix: int, full_range: bool, width: int, height: int) -> Encoding:
    """Returns a YCbCr frame's encoding, guessing by its coded size where the file names no matrix.

    Raises:
      ClipError: `unsupported` for a matrix that no affine map of YCbCr takes to BT.601.
    """
    if matrix in _UNSPECIFIED:
        matrix = 1 if width >= _HD_WIDTH or height > _SD_HEIGHT else 6
    if matrix not in _COEFFICIENTS:
        name = _NOT_CONVERTIBLE.get(matrix, f"number {matrix}")
        raise ClipError("unsupported", f"colour matrix {name}: only BT.601, 709, 2020, SMPTE 240M and FCC are read")
    return Encoding(matrix, full_range)


def is_full_range(format_name: str, color_range: int) -> bool:
    """Returns whether samples use all levels: said by the frame, or by a `yuvj` format; otherwise limited."""
    return color_range == _FULL_RANGE or format_name.startswith("yuvj")


def affine_to_jpeg(encoding: Encoding) -> np.ndarray:
    """Returns the (3, 4) float64 map of 8-bit (y, cb, cr, 1) in `encoding` to JPEG's 8-bit (y, cb, cr)."""
    luma_scale, luma_zero, chroma_scale = (255.0, 0.0, 255.0) if encoding.full_range else (219.0, 16.0, 224.0)
    normalise = np.array(
        [
            [1 / luma_scale, 0, 0, -luma_zero / luma_scale],
            [0, 1 / chroma_scale, 0, -128 / chroma_scale],
            [0, 0, 1 / chroma_scale, -128 / chroma_scale],
        ]
    )
    if _COEFFICIENTS[encoding.matrix] == _BT601:
        change = np.eye(3)
    else:
        change = np.linalg.inv(_rgb_from_ycbcr(*_BT601)) @ _rgb_from_ycbcr(*_COEFFICIENTS[encoding.matrix])
        change[1:, 0] = 0.0  # exactly: what is left here is rounding
        change[0, 0] = 1.0
    return 255 * (change @ normalise) + np.array([[0, 0, 0, 0], [0, 0, 0, 128], [0, 0, 0, 128]])


def _rgb_from_ycbcr(kr: float, kb: float) -> np.ndarray:
    kg = 1 - kr - kb
    return np.array(
        [
            [1, 0, 2 * (1 - kr)],
            [1, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1, 2 * (1 - kb), 0],
        ]
    )


@cache
def conversion_to_jpeg(encoding: Encoding) -> Conversion | None:
    """Returns what takes planes of `encoding` to JPEG's; None where they are that already."""
    (yy, yb, yr, y0), (_, bb, br, b0), (_, rb, rr, r0) = affine_to_jpeg(encoding).tolist()
    if _COEFFICIENTS[encoding.matrix] == _BT601:
        if encoding.full_range:
            return None
        return Conversion(_exact(yy, 0.0, y0), _exact(bb, 0.0, b0), _exact(0.0, rr, r0), None)
    steps = float(2 ** math.floor(math.log2(127 / (128 * (abs(yb) + abs(yr))))))
    # y0 holds the chroma's zero points too; they belong to the correction, which is stored around level 128.
    around_zero = 128 - steps * 128 * (yb + yr)
    luma_offset = y0 + 128 * (yb + yr) - 128 / steps
    return Conversion(
        _exact(yy, 1 / steps, luma_offset),
        _exact(bb, br, b0),
        _exact(rb, rr, r0),
        _exact(steps * yb, steps * yr, around_zero),
    )


def _exact(*weights: float) -> tuple[float, ...]:
    """Rounds weights of samples, the last one a constant, so that float32 holds all products and sums exactly.

    Then neither the order of operations nor fused multiply-add, which differ from CPU to CPU, can change a result. The
    weights become multiples of 2^-14 or so, which changes results by under 0.02 levels.
    """
    *of_samples, constant = weights
    largest_sum = 255 * sum(map(abs, of_samples)) + abs(constant)
    unit = 2.0 ** (math.ceil(math.log2(largest_sum + 1)) - 24)
    return tuple(round(weight / unit) * unit for weight in weights)


def to_jpeg_ycbcr(planes: Planes, conversion: Conversion, luma: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> Planes:
    """Converts uint8 4:2:0 planes, writing into the three given planes, which it returns.

    Args:
      planes: y (height, width), cb and cr (⌈height/2⌉, ⌈width/2⌉); rows may be padded.
      conversion: coefficients of `conversion_to_jpeg`.
      luma: where y goes; not one of `planes`.
      cb: where cb goes; not one of `planes`.
      cr: where cr goes; not one of `planes`.

    Results are rounded to the nearest level and clipped to [0, 255], colours brighter than white as in RGB.
    """
    source_luma, source_cb, source_cr = planes
    _blend(source_cb, source_cr, conversion.cb, cb)
    _blend(source_cb, source_cr, conversion.cr, cr)
    height, width = source_luma.shape
    if conversion.correction is None:
        scale, _, offset = conversion.luma
        # A third faster than `_blend`. It takes absolute values, so first comes black up to where it becomes 0.
        cv2.max(source_luma, _level(height, width, _BLACK), luma)
        cv2.convertScaleAbs(luma, luma, scale, offset)
    else:
        correction = _blend(source_cb, source_cr, conversion.correction, None)
        upsampled = cv2.resize(correction, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
        _blend(source_luma, upsampled, conversion.luma, luma)
    scale = conversion.luma[0]
    if scale > 1 and cv2.sumElems(_above_white(source_luma[::4]))[0] > _OVERBRIGHT * source_luma[::4].size:
        _whiten(source_luma, scale, cb, cr)
    return luma, cb, cr


# Cameras record sky and lamps above limited range's white. Luma is cut off at 255 there, and the chroma that belonged
# to a brighter luma would then tint what RGB shows as plain white: by 1.5 levels of red over whole frames of a real
# Kinetics clip. Below this mean excess, looked for in every fourth row, the tint is under a fifth of a level.
_OVERBRIGHT = 0.25
_BLACK, _WHITE = 16, 235


def _above_white(luma: np.ndarray) -> np.ndarray:
    return cv2.subtract(luma, _level(*luma.shape, _WHITE))


@cache
def _level(height: int, width: int, level: int) -> np.ndarray:
    return np.full((height, width), level, np.uint8)


def _whiten(source_luma: np.ndarray, scale: float, cb: np.ndarray, cr: np.ndarray) -> None:
    """Moves full-range chroma, in place, towards grey by what clipping in RGB would take of it.

    With luma e above white, a channel's deviation d from luma is left with min(0, e + d). A chroma component makes one
    channel deviate (red by 1.402·cr, blue by 1.772·cb) and, with the other sign, green (0.714·cr, 0.344·cb).
    """
    height, width = cb.shape
    excess = cv2.resize(_above_white(source_luma), (width, height), interpolation=cv2.INTER_AREA)
    grey = _level(height, width, 128)
    for chroma, own_channel, green in ((cb, 1.772, 0.344136), (cr, 1.402, 0.714136)):
        (to_own, _), (to_green, _) = _exact(scale / own_channel, 0.0), _exact(scale / green, 0.0)
        raised = cv2.min(cv2.add(chroma, cv2.convertScaleAbs(excess, alpha=to_own)), grey)
        cv2.max(cv2.subtract(chroma, cv2.convertScaleAbs(excess, alpha=to_green)), raised, chroma)


def _blend(a: np.ndarray, b: np.ndarray, weights: tuple[float, ...], out: np.ndarray | None) -> np.ndarray:
    # Saturating and vectorised, in float32; a table lookup (cv2.LUT) takes half as long again.
    return cv2.addWeighted(a, weights[0], b, weights[1], weights[2], out)
