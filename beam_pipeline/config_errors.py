"""What is wrong with a configuration, in the words of its files: the key, its value and what is allowed."""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from fractions import Fraction
from typing import Annotated, Any, Literal

from annotated_types import Interval, MinLen

from beam_pipeline.errors import RequestError


class ConfigError(RequestError):
    """A configuration that can't be used: one line for each thing that is wrong, with the key and what is allowed."""


def explain(root: type, error: Any) -> str:
    """Returns one line of ours for one error of pydantic's: key, what it must be, what it is.

    Args:
      root: the dataclass of the whole configuration.
      error: one of `ValidationError.errors()`.
    """
    location = [str(part) for part in error["loc"]]
    owner, allowed = _expected(root, location)
    keys = [part for part in location if not _is_union_member(part)]
    key = ".".join(keys)
    if error["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        what = "the folder of your clips, or of those that are fetched" if key == "source.store" else allowed
        return f"{key} is missing; it is {what}"
    if error["type"] == "unexpected_keyword_argument":
        names = [f.name for f in dataclasses.fields(owner)] if dataclasses.is_dataclass(owner) else []
        near = difflib.get_close_matches(keys[-1], names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
        return f"{key} is no key of the configuration; {hint}"
    got = error["input"]
    if location[-1] == "[key]":
        return f"{'.'.join(keys[:-1])} must have texts for keys, got {got!r}: put it in quotes"
    if isinstance(got, Fraction):
        got = float(got)
    return f"{key} must be {allowed}, got {json.dumps(got) if got is None or isinstance(got, bool) else repr(got)}"


def _is_union_member(part: str) -> bool:
    return "[" in part or part in ("float", "int", "str", "constrained-str", "constrained-int", "constrained-float")


def _expected(root: type, location: typing.Sequence[str]) -> tuple[Any, str]:
    """Follows a path of keys through the dataclasses; returns the owner of its last key and what that may be."""
    owner: Any = None
    current: Any = root
    for part in location:
        kind = next(
            (t for t in (current, *typing.get_args(current)) if isinstance(t, type) and dataclasses.is_dataclass(t)),
            current,
        )
        if dataclasses.is_dataclass(kind):
            owner = kind
            current = typing.get_type_hints(kind, include_extras=True).get(part, current)
        elif typing.get_origin(kind) is dict:
            current = typing.get_args(kind)[1]
        elif typing.get_origin(items := _bare(kind)) is tuple and part.isdecimal():
            current = typing.get_args(items)[0]
    return owner, _describe(current)


def _bare(annotation: Any) -> Any:
    """Returns a type without its constraints."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def _describe(annotation: Any) -> str:
    if typing.get_origin(annotation) is Annotated:
        inner, *constraints = typing.get_args(annotation)
        text = _describe(inner)
        for constraint in constraints:
            if isinstance(constraint, MinLen) and text == "a list":
                text = "a list that is not empty"
            if isinstance(constraint, Interval):
                text = f"{text} {_describe_interval(constraint)}"
        return text
    if typing.get_origin(annotation) is Literal:
        return " or ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in typing.get_args(annotation))
    if dataclasses.is_dataclass(annotation):
        return f"a mapping with the keys {', '.join(f.name for f in dataclasses.fields(annotation))}"
    if typing.get_origin(annotation) is tuple:
        return "a list"
    if typing.get_origin(annotation) is dict:
        values = typing.get_args(annotation)[1]
        if dataclasses.is_dataclass(values):
            return f"a mapping of split names to {{{', '.join(f.name for f in dataclasses.fields(values))}}}"
        return "a mapping of names to values" if values is Any else "a mapping of split names to lists"
    if arguments := typing.get_args(annotation):
        return " or ".join(_describe(a) for a in arguments)
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    return "a number or a fraction such as 30000/1001" if annotation is Fraction else names.get(annotation, "a value")


def _describe_interval(interval: Interval) -> str:
    low = (
        f"above {interval.gt}" if interval.gt is not None else f"from {interval.ge}" if interval.ge is not None else ""
    )
    high = f"to {interval.le}" if interval.le is not None else f"below {interval.lt}" if interval.lt is not None else ""
    return f"{low} {high}".strip()
