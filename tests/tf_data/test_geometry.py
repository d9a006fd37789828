"""Crop windows, resizing, flips, and boxes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_data import geometry
from tf_data.randomness import Draw, draw
from tf_data.views import Views

moderate = settings(max_examples=60, deadline=None)
uniforms = st.floats(0, 1, exclude_max=True, width=32)
sides = st.integers(1, 400)
frame_sizes = st.tuples(sides, sides)
ALMOST_ONE = 0.99999994


def _drawn(value: float, key: int = 0) -> Draw:
    """A draw of which all numbers are the same."""
    return draw(0, tf.constant(0, tf.int64), tf.constant(key, tf.int64))._replace(
        **{name: tf.constant(value, tf.float32) for name in Draw._fields[1:]}
    )


def _random(size: tuple[int, int], drawn: Draw, **values: object) -> list[int]:
    views = Views(random=True, num_frames=1, **values)  # type: ignore[arg-type]
    (window,) = geometry.random_window(tf.constant(size), views, drawn).numpy().tolist()
    return window


def _fixed(size: tuple[int, int], **values: object) -> list[list[int]]:
    views = Views(num_frames=1, **values)  # type: ignore[arg-type]
    return geometry.fixed_windows(tf.constant(size), views).numpy().tolist()


def _is_inside(window: list[int], size: tuple[int, int]) -> bool:
    top, left, height, width = window
    return top >= 0 and left >= 0 and height >= 1 and width >= 1 and top + height <= size[0] and left + width <= size[1]


# -- Crops of the stored frame's own pixels -----------------------------------------------------------------------


def test_a_random_crop_reaches_both_ends_of_the_frame() -> None:
    assert _random((256, 340), _drawn(0.0), crop_size=(224, 224)) == [0, 0, 224, 224]
    assert _random((256, 340), _drawn(ALMOST_ONE), crop_size=(224, 224)) == [32, 116, 224, 224]


def test_height_and_width_of_a_random_crop_have_places_of_their_own() -> None:
    drawn = _drawn(0.0)._replace(left=tf.constant(0.5))
    assert _random((256, 340), drawn, crop_size=(100, 224)) == [0, 58, 100, 224]


@moderate
@given(frame_sizes, frame_sizes, uniforms, st.sampled_from((1, 3, 10)))
def test_crops_are_inside_the_frame(
    size: tuple[int, int], other: tuple[int, int], uniform: float, num_crops: int
) -> None:
    frame = (max(size[0], other[0]), max(size[1], other[1]))
    crop = (min(size[0], other[0]), min(size[1], other[1]))
    windows = [_random(frame, _drawn(uniform), crop_size=crop), *_fixed(frame, crop_size=crop, num_crops=num_crops)]
    assert all(_is_inside(window, frame) and window[2:] == [*crop] for window in windows)


def test_one_fixed_crop_is_centred() -> None:
    assert _fixed((256, 341), crop_size=(224, 224)) == [[16, 58, 224, 224]]


@pytest.mark.parametrize(
    ("size", "corners"),
    [((256, 340), [[16, 0], [16, 58], [16, 116]]), ((340, 256), [[0, 16], [58, 16], [116, 16]])],
)
def test_three_crops_lie_along_the_longer_side(size: tuple[int, int], corners: list[list[int]]) -> None:
    assert _fixed(size, crop_size=(224, 224), num_crops=3) == [[*corner, 224, 224] for corner in corners]


def test_ten_crops_have_the_windows_of_four_corners_and_the_centre() -> None:
    corners = [[0, 0], [0, 116], [32, 0], [32, 116], [16, 58]]
    assert _fixed((256, 340), crop_size=(224, 224), num_crops=10) == [[*corner, 224, 224] for corner in corners]


def test_without_a_crop_the_whole_frame_is_taken() -> None:
    assert _random((37, 53), _drawn(0.5)) == [0, 0, 37, 53]
    assert _fixed((37, 53)) == [[0, 0, 37, 53]]


# -- Crops of resized frames --------------------------------------------------------------------------------------


@moderate
@given(st.tuples(st.integers(16, 400), st.integers(16, 400)), st.integers(8, 400), uniforms, st.data())
def test_a_crop_of_frames_that_are_resized_is_a_window_of_the_stored_ones(
    size: tuple[int, int], side: int, uniform: float, data: st.DataObject
) -> None:
    crop = (data.draw(st.integers(1, side)), data.draw(st.integers(1, side)))
    asked = {"crop_size": crop, "shorter_side": (side, side)}
    windows = [_random(size, _drawn(uniform), **asked), *_fixed(size, **asked), *_fixed(size, num_crops=3, **asked)]
    for window in windows:
        assert _is_inside(window, size)
        np.testing.assert_allclose(window[2:], np.maximum(np.array(crop) * min(size) / side, 1), atol=0.501)


@pytest.mark.parametrize(("uniform", "side"), [(0.0, 256), (0.5, 288), (ALMOST_ONE, 320)])
def test_a_drawn_shorter_side_lies_between_both_ends_of_its_range(uniform: float, side: int) -> None:
    window = _random((256, 340), _drawn(uniform), crop_size=(224, 224), shorter_side=(256, 320))
    assert window[2:] == [round(224 * 256 / side)] * 2


@pytest.mark.parametrize(("height", "width", "expected"), [(0.0, 0.0, (249, 249)), (0.0, ALMOST_ONE, (249, 168))])
def test_height_and_width_are_scaled_by_factors_of_their_own(
    height: float, width: float, expected: tuple[int, int]
) -> None:
    drawn = _drawn(0.5)._replace(height=tf.constant(height), width=tf.constant(width))
    window = _random((256, 340), drawn, crop_size=(224, 224), shorter_side=(256, 256), scale_jitter=(0.9, 1.33))
    assert tuple(window[2:]) == expected  # 224 / 0.9, 224 / 1.33


@moderate
@given(frame_sizes, st.integers(1, 400))
def test_frames_without_a_crop_keep_their_aspect(size: tuple[int, int], side: int) -> None:
    views = Views(num_frames=1, shorter_side=(side, side))
    height, width = geometry.view_size(tf.constant(size), views, None).numpy()
    assert min(height, width) == side
    exact = np.array(size) * side / min(size)
    np.testing.assert_allclose([height, width], exact, atol=0.5)


def test_a_view_has_the_size_of_its_crop_or_else_of_the_frame() -> None:
    frame = tf.constant([37, 53])
    assert geometry.view_size(frame, Views(num_frames=1), None).numpy().tolist() == [37, 53]
    assert geometry.view_size(frame, Views(num_frames=1, crop_size=(8, 9)), None).numpy().tolist() == [8, 9]


def _ramp(size: tuple[int, int], down: float, across: float) -> np.ndarray:
    """A picture whose levels rise evenly: [1, height, width, 1]."""
    rows, columns = np.indices(size)
    return (down * (rows + 0.5) + across * (columns + 0.5))[np.newaxis, ..., np.newaxis].astype(np.float32)


@pytest.mark.parametrize("size", [(64, 96), (97, 61), (33, 45), (120, 121)])
@pytest.mark.parametrize("side", [24, 48, 77])
def test_resizing_what_is_in_a_window_is_cropping_the_resized_frame(size: tuple[int, int], side: int) -> None:
    crop = (20, 24)
    down, across = 1.5, 0.5  # levels a stored pixel
    frame = _ramp(size, down, across)
    ((top, left, height, width),) = _fixed(size, crop_size=crop, shorter_side=(side, side))
    mine = geometry.resize(tf.constant(frame[:, top : top + height, left : left + width]), crop, is_flow=False).numpy()
    whole_size = [round(length * side / min(size)) for length in size]
    whole = tf.image.resize(frame, whole_size, antialias=True).numpy()
    at = [(length - part) // 2 for length, part in zip(whole_size, crop, strict=True)]
    theirs = whole[:, at[0] : at[0] + crop[0], at[1] : at[1] + crop[1]]
    # A window has whole stored pixels, so its sides are up to half of one off, and its corner with rounding down up to
    # one of either grid.
    stored_px = 1 + max(1, min(size) / side)
    inner = (slice(None), slice(2, -2), slice(2, -2))  # at the frame's edges antialiasing has nothing beyond
    assert np.abs(mine - theirs)[inner].max() <= stored_px * (down + across)


# -- Crops of drawn area and aspect -------------------------------------------------------------------------------


def _fits(window: list[int], size: tuple[int, int], area: tuple[float, float], aspect: tuple[float, float]) -> bool:
    """Whether some crop within half a pixel of the window has an area and aspect in their ranges."""
    height, width = window[2:]
    least, most = (height - 0.5) * (width - 0.5), (height + 0.5) * (width + 0.5)
    narrowest, widest = (width - 0.5) / (height + 0.5), (width + 0.5) / (height - 0.5)
    pixels = size[0] * size[1]
    slack = 1 + 1e-4  # float32
    return (
        least <= area[1] * pixels * slack
        and most * slack >= area[0] * pixels
        and narrowest <= aspect[1] * slack
        and widest * slack >= aspect[0]
    )


def _largest_centred(size: tuple[int, int], aspect: tuple[float, float]) -> list[int]:
    height, width = size
    wanted = np.clip(width / height, *aspect)
    if width / height > wanted:
        width = max(round(height * wanted), 1)
    else:
        height = max(round(width / wanted), 1)
    return [(size[0] - height) // 2, (size[1] - width) // 2, height, width]


def _range(lowest: float, highest: float) -> st.SearchStrategy[tuple[float, float]]:
    ends = st.floats(lowest, highest)
    return st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))


@settings(max_examples=100, deadline=None)
@given(frame_sizes, _range(0.01, 1), _range(0.25, 4), uniforms, st.integers(0, 1 << 30))
def test_a_resized_crop_has_an_area_and_aspect_in_range_or_is_the_largest_at_the_centre(
    size: tuple[int, int], area: tuple[float, float], aspect: tuple[float, float], uniform: float, key: int
) -> None:
    window = _random(size, _drawn(uniform, key), crop_size=(8, 8), area_range=area, aspect_range=aspect)
    assert _is_inside(window, size)
    centred = np.abs(np.array(window) - _largest_centred(size, aspect)).max() <= 1
    assert _fits(window, size, area, aspect) or centred


@pytest.mark.parametrize(
    ("size", "window"), [((10, 100), [0, 45, 10, 10]), ((101, 10), [45, 0, 10, 10]), ((10, 10), [0, 0, 10, 10])]
)
def test_where_no_drawn_crop_fits_the_largest_at_the_centre_is_taken(size: tuple[int, int], window: list[int]) -> None:
    # The whole area of a frame that is no square doesn't fit into it as a square.
    asked = {"crop_size": (8, 8), "area_range": (1.0, 1.0), "aspect_range": (1.0, 1.0)}
    assert _random(size, _drawn(0.3), **asked) == window


def test_areas_are_uniform_and_aspects_log_uniform() -> None:
    views = Views(
        random=True,
        num_frames=1,
        crop_size=(8, 8),
        area_range=(0.1, 0.3),
        aspect_range=(1 / 3, 3),
        flip_probability=0.5,
    )

    @tf.function
    def windows(keys: tf.Tensor) -> tf.Tensor:
        def window(key: tf.Tensor) -> tf.Tensor:
            return geometry.random_window(tf.constant([4000, 4000]), views, draw(0, tf.constant(0, tf.int64), key))[0]

        return tf.map_fn(window, keys, fn_output_signature=tf.int32)

    top, left, height, width = windows(tf.range(1500, dtype=tf.int64)).numpy().T.astype(float)
    quantiles = [0.0, 0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(
        np.quantile(height * width / 4000**2, quantiles), [0.1, 0.15, 0.2, 0.25, 0.3], atol=0.012
    )
    np.testing.assert_allclose(
        np.quantile(np.log(width / height) / np.log(3), quantiles), [-1, -0.5, 0, 0.5, 1], atol=0.08
    )
    np.testing.assert_allclose(np.quantile(top / (4000 - height), quantiles), quantiles, atol=0.04)
    np.testing.assert_allclose(np.quantile(left / (4000 - width), quantiles), quantiles, atol=0.04)


# -- Resizing -----------------------------------------------------------------------------------------------------


def test_resizing_keeps_the_leading_axes_and_the_mean() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 48, 3)).astype(np.uint8)
    resized = geometry.resize(tf.constant(levels), tf.constant([16, 24]), is_flow=False).numpy()
    assert resized.dtype == np.float32
    assert resized.shape == (2, 3, 16, 24, 3)
    np.testing.assert_allclose(resized.mean((2, 3)), levels.mean((2, 3)), atol=1.5)


def test_resizing_is_antialiased() -> None:
    stripes = np.zeros((1, 8, 64, 3), np.uint8)
    stripes[:, :, ::4] = 240  # one in four: a quarter of the light
    resized = geometry.resize(tf.constant(stripes), tf.constant([8, 8]), is_flow=False).numpy()
    np.testing.assert_allclose(resized, 60, atol=15)


@moderate
@given(st.tuples(st.integers(2, 24), st.integers(2, 24)), st.tuples(st.integers(1, 24), st.integers(1, 24)))
def test_flow_is_multiplied_by_the_ratio_of_the_sides_along_each_axis(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    x, y = 210.0, 100.0
    levels = tf.fill([1, *before, 1], x), tf.fill([1, *before, 1], y)
    resized = geometry.resize(tf.concat(levels, -1), tf.constant(after), is_flow=True).numpy()
    assert resized.shape == (1, *after, 2)
    np.testing.assert_allclose(resized[..., 0] - 127.5, (x - 127.5) * after[1] / before[1], rtol=1e-5)
    np.testing.assert_allclose(resized[..., 1] - 127.5, (y - 127.5) * after[0] / before[0], rtol=1e-5)


# -- Mirroring and time reversal ----------------------------------------------------------------------------------


def test_rgb_is_mirrored_left_to_right() -> None:
    frames = np.arange(2 * 3 * 4 * 3).reshape(2, 3, 4, 3).astype(np.uint8)
    np.testing.assert_array_equal(geometry.flip_rgb(tf.constant(frames)).numpy(), frames[:, :, ::-1])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_flow_is_mirrored_and_its_x_negated(dtype: type) -> None:
    levels = np.arange(256).reshape(1, 16, 8, 2).astype(dtype)
    flipped = geometry.flip_flow(tf.constant(levels)).numpy()
    assert flipped.dtype == dtype
    np.testing.assert_array_equal(flipped[..., 0], 255 - levels[:, :, ::-1, 0])
    np.testing.assert_array_equal(flipped[..., 1], levels[:, :, ::-1, 1])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_every_level_and_255_less_it_are_opposite_flow(dtype: type) -> None:
    levels = np.arange(256, dtype=dtype)
    flipped = geometry.flip_flow(tf.constant(np.stack([levels, levels], axis=1)[np.newaxis, :, np.newaxis])).numpy()
    np.testing.assert_array_equal(flipped[0, :, 0], np.stack([255 - levels, levels], axis=1))
    opposite = geometry.negate_flow(tf.constant(levels)).numpy()
    assert opposite.dtype == dtype
    np.testing.assert_array_equal(opposite, 255 - levels)


@pytest.mark.parametrize(("flip", "channels"), [(geometry.flip_rgb, 3), (geometry.flip_flow, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_flipping_twice_changes_nothing(flip: Callable[[tf.Tensor], tf.Tensor], channels: int, dtype: type) -> None:
    levels = np.random.default_rng(1).integers(0, 256, (3, 5, 7, channels)).astype(dtype)
    np.testing.assert_array_equal(flip(flip(tf.constant(levels))).numpy(), levels)


def _moved(frame: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The next frame, by the flow in whole pixels of one [height, width]; what leaves it comes in on the other side."""
    rows, columns = np.indices(frame.shape)
    following = np.empty_like(frame)
    following[(rows + flow[..., 1]) % frame.shape[0], (columns + flow[..., 0]) % frame.shape[1]] = frame
    return following


def _levels_of_motion() -> tuple[np.ndarray, np.ndarray]:
    """A frame, and levels of its flow: the upper half moves by (3, 0) pixels, the lower half by (-2, 0)."""
    frame = np.random.default_rng(3).integers(0, 256, (8, 12))
    flow = np.zeros((8, 12, 2), np.int64)
    flow[:4, :, 0], flow[4:, :, 0] = 3, -2
    return frame, (flow * 2 + 127.5).astype(np.float32)


def _motion(levels: np.ndarray) -> np.ndarray:
    return ((levels - 127.5) / 2).astype(np.int64)


def test_flow_of_a_mirrored_clip_is_the_mirrored_flow() -> None:
    frame, levels = _levels_of_motion()
    flipped = geometry.flip_flow(tf.constant(levels)).numpy()
    np.testing.assert_array_equal(_moved(frame[:, ::-1], _motion(flipped)), _moved(frame, _motion(levels))[:, ::-1])


def test_negated_flow_leads_back() -> None:
    frame, levels = _levels_of_motion()
    back = _motion(geometry.negate_flow(tf.constant(levels)).numpy())
    np.testing.assert_array_equal(_moved(_moved(frame, _motion(levels)), back), frame)


# -- Boxes --------------------------------------------------------------------------------------------------------


def _move(box: list[float], window: list[int], size: tuple[int, int], flip: bool) -> list[float]:
    moved = geometry.move_boxes(tf.constant(box), tf.constant(window), tf.constant(size), tf.constant(flip))
    return moved.numpy().tolist()


@pytest.mark.parametrize(
    ("window", "flip", "expected"),
    [
        ([0, 0, 100, 200], False, [0.2, 0.1, 0.4, 0.3]),
        ([0, 0, 100, 200], True, [0.2, 0.7, 0.4, 0.9]),
        ([10, 10, 50, 100], False, [0.2, 0.1, 0.6, 0.5]),
        ([10, 10, 50, 100], True, [0.2, 0.5, 0.6, 0.9]),
        ([30, 40, 50, 100], False, [0.0, 0.0, 0.2, 0.2]),  # cut off at the upper left
        ([0, 0, 30, 50], False, [20 / 30, 20 / 50, 1.0, 1.0]),  # at the lower right
    ],
)
def test_boxes_follow_the_window_and_its_mirror(window: list[int], flip: bool, expected: list[float]) -> None:
    np.testing.assert_allclose(_move([0.2, 0.1, 0.4, 0.3], window, (100, 200), flip), expected, atol=1e-6)


@pytest.mark.parametrize("window", [[50, 0, 50, 200], [0, 100, 100, 100], [0, 0, 20, 200], [0, 0, 100, 20]])
@pytest.mark.parametrize("flip", [False, True])
def test_a_box_out_of_view_has_no_area(window: list[int], flip: bool) -> None:
    ymin, xmin, ymax, xmax = _move([0.2, 0.1, 0.4, 0.3], window, (100, 200), flip)
    assert ymin == ymax or xmin == xmax


@settings(max_examples=40, deadline=None)
@given(st.data(), st.tuples(st.integers(24, 60), st.integers(24, 60)), st.booleans())
def test_what_is_in_a_box_stays_in_it(data: st.DataObject, size: tuple[int, int], flip: bool) -> None:
    def part(length: int, least: int) -> tuple[int, int]:
        first = data.draw(st.integers(0, length - least))
        return first, data.draw(st.integers(first + least, length))

    (top, bottom), (left, right) = part(size[0], 12), part(size[1], 12)
    (ymin, ymax), (xmin, xmax) = part(size[0], 4), part(size[1], 4)
    picture = np.zeros((1, *size, 3), np.float32)
    picture[:, ymin:ymax, xmin:xmax] = 255
    view_size = data.draw(st.tuples(st.integers(12, 60), st.integers(12, 60)))
    shown = geometry.resize(tf.constant(picture[:, top:bottom, left:right]), tf.constant(view_size), is_flow=False)
    shown = (geometry.flip_rgb(shown) if flip else shown).numpy()[0, ..., 0]
    box = [ymin / size[0], xmin / size[1], ymax / size[0], xmax / size[1]]
    moved = np.array(_move(box, [top, left, bottom - top, right - left], size, flip))
    area = np.prod(moved[2:] - moved[:2])
    # All light of the picture is what is within the box, and half of it is seen at its edges.
    np.testing.assert_allclose(shown.mean() / 255, area, atol=0.03)
    rows, columns = np.nonzero(shown > 127.5)
    if rows.size:
        lit = np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]) / np.tile(view_size, 2)
        np.testing.assert_allclose(lit, moved, atol=1.01 / min(view_size))
