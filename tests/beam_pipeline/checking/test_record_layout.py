"""The parts of a record are where its parser finds them, whatever their sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipeline.checking.record_layout import UnusualLayout, context_end_of, images_of, layout_of, samples_in
from beam_pipeline.records import SequenceExample, sequence_example

property_ = settings(max_examples=50, deadline=None)

# Around the sizes at which lengths take a byte more.
SIZES = st.one_of(st.integers(0, 300), st.integers(16_370, 16_400), st.integers(2_097_140, 2_097_160))


@given(
    sizes=st.lists(SIZES, max_size=4), context=st.dictionaries(st.text(max_size=9), st.integers(0, 2**40), min_size=1)
)
def test_images_are_found(sizes: list[int], context: dict[str, int]) -> None:
    images = [b"I" + bytes(size) for size in sizes]
    record = sequence_example(context, {"images": images, "times": list(range(len(images)))})
    layout = layout_of(record)
    assert layout.lists.keys() == {"images", "times"}
    places = images_of(record, layout.lists["images"], b"I")
    assert [record[begin:end] for begin, end in places] == images
    assert context_end_of(record[:100]) == layout.context_end
    parsed = SequenceExample.FromString(record[: layout.context_end])
    assert {key: feature.int64_list.value[0] for key, feature in parsed.context.feature.items()} == context


def change(record: bytes, what: str) -> bytes:
    example = SequenceExample.FromString(record)
    steps = example.feature_lists.feature_list["images"].feature
    if what == "two in a step":
        steps[1].bytes_list.value.append(b"I")
    elif what == "none in a step":
        steps[1].bytes_list.ClearField("value")
    elif what == "another kind":
        steps[1].int64_list.value.append(1)
    elif what == "another magic":
        steps[1].bytes_list.value[0] = b"J"
    return example.SerializeToString(deterministic=True)


@pytest.mark.parametrize("what", ["two in a step", "none in a step", "another kind", "another magic"])
def test_steps_of_something_else_are_not_taken_for_images(what: str) -> None:
    record = change(sequence_example({"a": 1}, {"images": [b"I" * 200, b"I", b"I" * 20_000]}), what)
    with pytest.raises(UnusualLayout):
        images_of(record, layout_of(record).lists["images"], b"I")


@given(cut=st.integers(0, 200))
@property_
def test_bytes_that_break_off_are_no_record(cut: int) -> None:
    record = sequence_example({"a": 1}, {"images": [b"I" * 50, b"I" * 150]})
    with pytest.raises(UnusualLayout):
        layout = layout_of(record[:cut])
        images_of(record[:cut], layout.lists.get("images", (0, 1)), b"I")


def test_samples_are_counted() -> None:
    record = sequence_example({"a": 1}, {"sound": [np.zeros(12_345, np.float32)], "two": [1.0, 2.0]})
    layout = layout_of(record)
    assert samples_in(record, layout.lists["sound"]) == 12_345
    with pytest.raises(UnusualLayout):
        samples_in(record, layout.lists["two"])
