"""Walking through a large JSON object member by member, with the very text of each, in the memory of one member."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from beam_pipeline.annotations.opening import BOM, EXPECTED, AnnotationError

MAX_MEMBER_CHARS = 1 << 24  # a member is one video, some 300 characters
_BLOCK_BYTES = 1 << 18
_NOT_SPACE_RE = re.compile(r"[^ \t\r\n]")


class JsonNumber(str):
    """A number as it is written, so that no digit of a time is lost to binary fractions."""


_DECODER = json.JSONDecoder(parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=JsonNumber, strict=False)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a document; all parts' texts, with the commas between members, are the document.

    `kind` is `open` (up to and with an object's brace), `member` (a key and its value, with the blanks before it),
    or `close` (an object's closing brace and the blanks before it). `depth` is how many objects it stands in.
    """

    kind: str
    text: str
    depth: int
    key: str = ""
    value: object = None


def walk(stream: BinaryIO, path: str, descend: str) -> Iterator[Part]:
    """Yields the parts of a JSON object; the member `descend`, where it is an object, is itself walked through.

    Raises:
      AnnotationError: the text is not one JSON object, or goes on for more than `MAX_MEMBER_CHARS` characters
        in one member.
    """
    cursor = _Cursor(stream, path)
    cursor.skip(BOM)
    yield from _walk_object(cursor, 0, "", descend)
    cursor.skip_space()
    if cursor.peek():
        raise cursor.error("text after the object's end (JSON lines are not read)")
    yield Part("close", cursor.take(), 0)


def spliced(parts: Iterable[tuple[Part, bool]]) -> Iterator[str]:
    """Yields the text of a document of which some members are left out: pairs of a part and whether it is kept."""
    joiners = [_Joiner()]
    for part, kept in parts:
        if part.kind == "close":
            yield part.text
            if part.depth:
                joiners.pop()
        else:
            yield joiners[-1].join(part.text, kept)
            if part.kind == "open":
                joiners.append(_Joiner())


class _Joiner:
    """Puts commas between the members of an object or list that are kept, the first of them where the first stood."""

    def __init__(self) -> None:
        self._blanks: str | None = None
        self._any_kept = False

    def join(self, text: str, kept: bool) -> str:
        """Returns what the next member, with the blanks before it, adds to the document."""
        bare = text.lstrip(" \t\r\n")
        if self._blanks is None:
            self._blanks = text[: len(text) - len(bare)]
        if not kept:
            return ""
        if self._any_kept:
            return "," + text
        self._any_kept = True
        return self._blanks + bare


def without_elements(text: str, key: str, kept: Sequence[bool]) -> str:
    """Returns the text of a member, an object with a list under `key`, with those elements of it that are kept."""
    at = _after(text, _DECODER.raw_decode(text, _after(text, 0))[1], ":")
    begin = 0
    while text[at] in "{,":
        member_key, at = _DECODER.raw_decode(text, _after(text, at + 1))
        at = _after(text, at, ":")
        if member_key == key:  # of a key that is there twice the last counts, as it does to a parser
            begin = at + 1
        at = _after(text, _DECODER.raw_decode(text, at)[1])
    joiner = _Joiner()
    joined = ""
    end = element_begin = begin
    for is_kept in kept:
        end = _DECODER.raw_decode(text, _after(text, element_begin))[1]
        joined += joiner.join(text[element_begin:end], is_kept)
        element_begin = text.find(",", end) + 1
    return text[:begin] + joined + text[end:]


def _after(text: str, at: int, char: str = "") -> int:
    """Returns where the next value begins: after blanks, `char` and blanks again."""
    if char:
        at = text.index(char, at) + 1
    match = _NOT_SPACE_RE.search(text, at)
    assert match, f"nothing follows {text[:40]!r}"
    return match.start()


def _walk_object(cursor: _Cursor, depth: int, key: str, descend: str) -> Iterator[Part]:
    cursor.skip_space()
    cursor.expect("{")
    yield Part("open", cursor.take(), depth, key)
    cursor.skip_space()
    while cursor.peek() != "}":
        member_key = cursor.value()
        if not isinstance(member_key, str) or isinstance(member_key, JsonNumber):
            raise cursor.error("a key that is not a string")
        cursor.skip_space()
        cursor.expect(":")
        cursor.skip_space()
        if depth == 0 and member_key == descend and cursor.peek() == "{":
            yield from _walk_object(cursor, 1, member_key, descend)
        else:
            value = cursor.value()
            text = cursor.take()
            cursor.skip_space()
            if cursor.peek() == ",":
                text += cursor.take()  # blanks before a comma belong to the member that they follow
            yield Part("member", text, depth + 1, member_key, value)
        cursor.skip_space()
        if cursor.peek() == ",":
            cursor.expect(",")
            cursor.take()
            cursor.skip_space()
            if cursor.peek() == "}":
                raise cursor.error("a comma before a closing brace")
        elif cursor.peek() != "}":
            raise cursor.error("neither a comma nor a closing brace after a member")
    cursor.expect("}")
    yield Part("close", cursor.take(), depth + 1)


class _Cursor:
    """A place in a stream of JSON text: `_text` from `_taken` to `_at` is read and not yet taken."""

    def __init__(self, stream: BinaryIO, path: str):
        self._stream = stream
        self._path = path
        self._utf8 = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text = ""
        self._taken = 0
        self._at = 0
        self._dropped = 0
        self._ended = False

    def take(self) -> str:
        """Returns the text between the last take and here."""
        text = self._text[self._taken : self._at]
        self._taken = self._at
        return text

    def skip(self, char: str) -> None:
        """Steps over a character, where it is the next one."""
        if self.peek() == char:
            self._at += 1

    def skip_space(self) -> None:
        """Steps over blanks."""
        while True:
            if match := _NOT_SPACE_RE.search(self._text, self._at):
                self._at = match.start()
                return
            self._at = len(self._text)
            if not self._more():
                return

    def peek(self) -> str:
        """Returns the next character, or '' at the end."""
        if self._at == len(self._text):
            self._more()
        return self._text[self._at : self._at + 1]

    def expect(self, char: str) -> None:
        """Steps over the next character, which has to be `char`."""
        if self.peek() != char:
            raise self.error(f"no {char!r}")
        self._at += 1

    def value(self) -> object:
        """Returns the value that begins here, and steps over it."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._more():
                    continue
                self._at = min(error.pos, len(self._text))
                raise self.error(error.msg) from error
            except RecursionError as error:
                raise self.error("objects nested too deep") from error
            if end == len(self._text) and self._more():
                continue  # a number may go on
            self._at = end
            return value

    def error(self, found: str) -> AnnotationError:
        """Returns the error for what was found here."""
        place = self._dropped + self._at
        return AnnotationError(
            f"{self._path} is not valid JSON: {found}, at character {place} before "
            f"{self._text[self._at : self._at + 40]!r}; {EXPECTED}"
        )

    def _more(self) -> bool:
        """Reads on where there is more: at least as much as is being held, so that a long member is decoded few times.

        What is held grows no larger than `MAX_MEMBER_CHARS`: broken JSON looks like a member without an end.
        """
        if self._ended or len(self._text) - self._taken > MAX_MEMBER_CHARS:
            return False
        self._text = self._text[self._taken :]
        self._dropped += self._taken
        self._at -= self._taken
        self._taken = 0
        block = self._stream.read(max(_BLOCK_BYTES, len(self._text)))
        self._ended = not block
        self._text += self._utf8.decode(block, final=not block)
        return True
