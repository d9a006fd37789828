"""Text in pictures: where it ends, and what is done with one that is too long."""

from __future__ import annotations

import numpy as np
import pytest

from beam_pipeline.viewing.lettering import shortened, text_width_px, write


def written(text: str, align_right: bool = False) -> np.ndarray:
    """Returns the columns in which a text leaves ink."""
    picture = np.full((40, 200, 3), 255, np.uint8)
    write(picture, text, (100, 28), 16, (0, 0, 0), align_right=align_right)
    return np.flatnonzero((picture < 128).any(axis=(0, 2)))


def test_a_text_begins_or_ends_at_its_place() -> None:
    assert 100 <= written("flow")[0] <= 104
    assert 96 <= written("flow", align_right=True)[-1] <= 100


@pytest.mark.parametrize("text", ["a\nb", "a\tb", "a \r\n b"])
def test_line_breaks_are_spaces(text: str) -> None:
    np.testing.assert_array_equal(written(text), written("a b"))


def test_a_text_that_is_too_long_keeps_its_ends() -> None:
    text = "abcdefghijklmnopqrstuvwxyz.mp4"
    shown = shortened(text, 100, 16)
    assert text_width_px(shown, 16) <= 100
    first, last = shown.split("…")
    assert first and text.startswith(first)
    assert last and text.endswith(last)
    assert shortened("short", 100, 16) == "short"
