"""Where the parts of a record are, found without copying it: a clip is megabytes of images, and parsing copies them.

Protocol buffers' wire format (https://protobuf.dev/programming-guides/encoding/): a field is a tag, a length and its
content, and so is all of a `tf.train.SequenceExample` that is of use here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

# Tags of length-delimited fields: field number << 3 | 2.
_CONTEXT, _LISTS = 0x0A, 0x12  # of SequenceExample
_LIST = 0x0A  # of FeatureLists, a map, whose entries have a key and a value
_KEY, _VALUE = 0x0A, 0x12
_STEP = 0x0A  # of FeatureList: a Feature
_BYTES_LIST, _FLOAT_LIST = 0x0A, 0x12  # of Feature
_ELEMENT = 0x0A  # of BytesList; of FloatList, packed

Place = tuple[int, int]
"""Where something begins and ends in a record."""


class UnusualLayout(Exception):  # noqa: N818 - other writers' records may be right all the same
    """A record is not laid out as this package writes it; nothing else is said of it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a record's context ends, which begins it, and where the steps of each feature list are."""

    context_end: int
    lists: dict[str, Place]


def layout_of(record: bytes) -> Layout:
    """Finds the parts of a record.

    Raises:
      UnusualLayout: it has others than a context and feature lists, in that order.
    """
    _, context_end = _field(record, 0, _CONTEXT)
    if context_end == len(record):
        return Layout(context_end, {})
    place, end = _field(record, context_end, _LISTS)
    lists = {}
    while place < end:
        entry, place = _field(record, place, _LIST)
        begin, key_end = _field(record, entry, _KEY)
        steps, steps_end = _field(record, key_end, _VALUE)
        if steps_end != place:
            raise UnusualLayout
        lists[record[begin:key_end].decode(errors="replace")] = steps, steps_end
    if end != len(record) or place != end:
        raise UnusualLayout
    return Layout(context_end, lists)


def context_end_of(head: bytes) -> int:
    """Returns where a record's context ends, from what it begins with.

    Raises:
      UnusualLayout: it does not begin with its context.
    """
    return _field(head, 0, _CONTEXT)[1]


def images_of(record: bytes, steps: Place, magic: bytes) -> list[Place]:
    """Finds the images of a feature list that has one in each step.

    Raises:
      UnusualLayout: a step has another number of values, or one that does not begin with `magic`.
    """
    images = []
    place, end = steps
    while place < end:
        begin, place = _field(record, place, _STEP)
        head = _head_of_image(place - begin)
        image = begin + len(head)
        if place > end or not record.startswith(head, begin) or not record.startswith(magic, image):
            raise UnusualLayout
        images.append((image, place))
    return images


@functools.lru_cache(maxsize=1 << 16)
def _head_of_image(length: int) -> bytes:
    """Returns what stands before the image in a Feature of `length` bytes that holds one."""
    values_head = _head(length, _BYTES_LIST)
    return values_head + _head(length - len(values_head), _ELEMENT)


def _head(length: int, tag: int) -> bytes:
    """Returns the tag and the length of a field that takes `length` bytes with them."""
    for size in range(1, 10):
        varint, rest = bytearray(), length - 1 - size
        while rest > 0x7F:
            varint.append(rest & 0x7F | 0x80)
            rest >>= 7
        varint.append(max(rest, 0))
        if len(varint) == size and rest >= 0:
            return bytes([tag, *varint])
    raise UnusualLayout


def samples_in(record: bytes, steps: Place) -> int:
    """Returns how many float32 values a feature list of one step has.

    Raises:
      UnusualLayout: it has another number of steps, or they are no packed floats.
    """
    feature, step_end = _field(record, steps[0], _STEP)
    values, values_end = _field(record, feature, _FLOAT_LIST)
    begin, end = _field(record, values, _ELEMENT)
    if not end == values_end == step_end == steps[1] or (end - begin) % 4:
        raise UnusualLayout
    return (end - begin) // 4


def _field(record: bytes, place: int, tag: int) -> Place:
    """Returns where the content of a length-delimited field begins and ends; it may end beyond the record."""
    try:
        if record[place] != tag:
            raise UnusualLayout
        place += 1
        length = record[place]
        if length > 0x7F:
            length &= 0x7F
            shift = 7
            while True:
                place += 1
                part = record[place]
                length |= (part & 0x7F) << shift
                if part <= 0x7F:
                    break
                shift += 7
    except IndexError as error:
        raise UnusualLayout from error
    return place + 1, place + 1 + length
