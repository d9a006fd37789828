"""What the images of a clip's folder are, by their names: frames, and flow from each frame to the next.

    img_00001.jpg   img_00002.jpg …         frames; image_, frame_, frame or nothing in place of img_ does as well
    flow_x_00000.jpg   flow_y_00000.jpg …   pairs of flow images; x_ and y_ as well

These are the names of denseflow, mmaction2 and TSN's extractor; every suffix is .jpg, .jpeg or .png. What the numbers
begin with differs by tool and version (`media.frame_folders` tells which pair belongs to which frames).
"""

from __future__ import annotations

import re

_SUFFIX = r"\.(?i:jpe?g|png)"
_IMAGE_RE = re.compile(
    rf"(?P<prefix>(?P<frame>img_|image_|frame_?|)|(?P<x>flow_x_|x_)|(?P<y>flow_y_|y_))(?P<number>\d{{1,12}}){_SUFFIX}",
    re.ASCII,
)
# denseflow -s 2, -s -1 and the like; and denseflow --saveType png, whose images have a bound of their own each.
_OTHER_STEP_RE = re.compile(rf"flow_[xy]_[pm]\d{{1,6}}_\d{{1,12}}{_SUFFIX}", re.ASCII)
_PACKED_FLOW_RE = re.compile(rf"flow_(?:[pm]\d{{1,6}}_)?\d{{1,12}}{_SUFFIX}", re.ASCII)


def series_of(name: str) -> tuple[str, str, int] | None:
    """Returns (series, prefix, number) of an image of a clip's folder, or None for any other file.

    The series are `frame`, `x` and `y`; and two that can't be read as flow from each frame to the next: `other_step`
    and `packed`, whose prefix and number are not told.
    """
    if match := _IMAGE_RE.fullmatch(name):
        series = next(kind for kind in ("frame", "x", "y") if match[kind] is not None)
        return series, match["prefix"], int(match["number"])
    if _OTHER_STEP_RE.fullmatch(name):
        return "other_step", "", -1
    if _PACKED_FLOW_RE.fullmatch(name):
        return "packed", "", -1
    return None
