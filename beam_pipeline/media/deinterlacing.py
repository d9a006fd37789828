"""Turns interlaced frames into progressive ones, one for one, and leaves the others alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

from av.filter import Graph
from av.video.format import VideoFormat

from beam_pipeline.media.streams import Picture


def deinterlaced(source: Iterator[Picture]) -> Iterator[Picture]:
    """Yields every picture of `source` at its own time; those flagged interlaced are filtered by ffmpeg's bwdif.

    Nothing is filtered, or delayed, until the first flagged frame. From there on a frame's result depends on it and its
    two neighbours alone, so that decoding from a key frame gives the same as decoding from the beginning. Field order
    is each frame's own.
    """
    previous: Picture | None = None
    for picture in source:
        if picture.frame.interlaced_frame:
            yield from _filtered(previous, picture, source)
            return
        yield picture
        previous = picture


def _filtered(previous: Picture | None, first: Picture, rest: Iterator[Picture]) -> Iterator[Picture]:
    # The last frame before the first flagged one has been yielded already: it goes in as a neighbour and is not wanted
    # again. A frame of another size or format needs another graph.
    unwanted = 0
    picture: Picture | None = first
    while picture is not None:
        layout = _layout(picture)
        graph = _bwdif(picture)
        waiting: deque[Picture] = deque()
        if previous is not None and _layout(previous) == layout:
            unwanted = 1
            waiting.append(previous)
            _push(graph, previous, 0)
        number = len(waiting)
        while picture is not None and _layout(picture) == layout:
            waiting.append(picture)
            _push(graph, picture, number)
            number += 1
            for result in _pull(graph, waiting):
                if unwanted:
                    unwanted -= 1
                else:
                    yield result
            picture = next(rest, None)
        graph.vpush(None)
        for result in _pull(graph, waiting):
            if unwanted:
                unwanted -= 1
            else:
                yield result
        previous = None


def _layout(picture: Picture) -> tuple[int, int, str]:
    return picture.frame.width, picture.frame.height, picture.frame.format.name


def _bwdif(picture: Picture) -> Graph:
    width, height, format_name = _layout(picture)
    graph = Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(
            width=width, height=height, format=VideoFormat(format_name, width, height), time_base=Fraction(1, 1000)
        ),
        graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _push(graph: Graph, picture: Picture, number: int) -> None:
    # The filter wants increasing times; the real ones, which may not be, are kept beside it.
    picture.frame.pts = number
    picture.frame.time_base = Fraction(1, 1000)
    graph.vpush(picture.frame)


def _pull(graph: Graph, waiting: deque[Picture]) -> Iterator[Picture]:
    while True:
        try:
            frame = graph.vpull()
        except (BlockingIOError, EOFError):
            return
        original = waiting.popleft()
        yield original._replace(frame=frame, interlaced=original.frame.interlaced_frame)
