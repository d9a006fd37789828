"""`python -m beam_pipeline sheet`: pages of clips of a data set, as pictures."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from beam_pipeline.clips import ClipError
from beam_pipeline.command_options import reads_data_sets
from beam_pipeline.data_set import Split, find_clip, open_data_set
from beam_pipeline.errors import RequestError
from beam_pipeline.terminal import EXIT_OK, tell
from beam_pipeline.viewing.clip_reading import read_clip
from beam_pipeline.viewing.contact_sheet import Card, card_of, draw_contact_sheet
from beam_pipeline.viewing.new_files import check_is_new, new_file
from tf_data import contract

CLIPS_A_PAGE = 10

Found = tuple[Split, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which clips of a data set a sheet shows.

    Attributes:
      splits: only these; none: all.
      labels: only clips of these classes; none: all.
      flags: only clips that have all of these, of `contract.FLAGS`.
      clip_ids: just these, and nothing else counts.
      limit: how many at most.
      seed: None: of each class the first clip, then of each the second, and so on until there are enough; a number:
        that many drawn at random from all.
    """

    splits: Sequence[str] = ()
    labels: Sequence[str] = ()
    flags: Sequence[str] = ()
    clip_ids: Sequence[str] = ()
    limit: int = 40
    seed: int | None = None


@reads_data_sets
def main(arguments: argparse.Namespace) -> int:
    """Draws clips and prints the files; returns the exit status."""
    asked = arguments
    choice = Choice(asked.split, asked.label, asked.flag, asked.id, asked.limit, asked.seed)
    paths = write_sheets(asked.folder, asked.out, choice, overwrite=asked.overwrite)
    tell(str(paths[0]) if len(paths) == 1 else f"{paths[0]} to {paths[-1].name}: {len(paths)} pages")
    return EXIT_OK


def write_sheets(folder: str, out: Path, choice: Choice, *, title: str = "", overwrite: bool = False) -> list[Path]:
    """Draws clips of a data set, ten a page in the order of their classes, and writes PNG files.

    Args:
      folder: of the data set (`data_set.open_data_set`).
      out: `.png`; of several pages `name-01.png` and so on.
      choice: which clips. Those that failed have no record, so that they are left out unless `clip_ids` names them.
      title: what stands above each page; empty: what it shows of which data set.
      overwrite: whether files may be replaced.

    Returns:
      The files.

    Raises:
      RequestError: there is no clip such as chosen, or a file is there.
      DataSetError: there is no such data set, split or clip.
      OSError: a file can't be read or written.
    """
    if out.suffix.lower() != ".png":
        raise RequestError(f"{out}: its suffix must be .png, got {out.suffix!r}")
    splits = open_data_set(folder, choice.splits)
    found = choose(splits, choice)
    pages = [found[begin : begin + CLIPS_A_PAGE] for begin in range(0, len(found), CLIPS_A_PAGE)]
    digits = max(2, len(str(len(pages))))
    paths = [out.with_name(f"{out.stem}-{page:0{digits}d}{out.suffix}") for page in range(1, len(pages) + 1)]
    if len(pages) == 1:
        paths = [out]
    for path in paths:
        check_is_new(path, overwrite)
    of_all = sum(split.clips.num_rows for split in splits)
    named = f"{splits[0].name} {', '.join(split.split for split in splits)}: {len(found):,} of {of_all:,} clips"
    with tqdm(total=len(found), unit=" clips", dynamic_ncols=True, delay=1, disable=None, file=sys.stderr) as bar:
        for number, (path, page) in enumerate(zip(paths, pages, strict=True), start=1):
            with new_file(path) as temporary:
                cards = []
                for each in page:
                    cards.append(_card(*each, several=len(splits) > 1))
                    bar.update()
                numbered = f"{named}, page {number} of {len(pages)}" if len(pages) > 1 else named
                encoded, png = cv2.imencode(".png", draw_contact_sheet(cards, title or numbered)[..., ::-1])
                assert encoded
                temporary.write_bytes(png.tobytes())
    return paths


def choose(splits: Sequence[Split], choice: Choice) -> list[Found]:
    """Returns the splits and rows of the clips that are chosen, in the order of their classes.

    Raises:
      RequestError: there is none, or no such class.
      DataSetError: there is no such clip.
    """
    if choice.clip_ids:
        return [find_clip(splits, clip_id) for clip_id in choice.clip_ids]
    there = {label for split in splits for label in split.clips["label"].unique().to_pylist()}
    if unknown := [label for label in choice.labels if label not in there]:
        some = ", ".join(sorted(there)[:5]) + (", …" if len(there) > 5 else "")
        raise RequestError(f"--label {unknown[0]}: no clip has that label; there are {some}")
    places = []  # (split, row of its table, label)
    for number, split in enumerate(splits):
        labels, is_chosen = split.clips["label"].to_pylist(), split.clips["position"].to_numpy() >= 0
        for flag in choice.flags:
            is_chosen &= split.clips[flag].to_numpy()
        places += [(number, int(row), labels[row]) for row in np.flatnonzero(is_chosen)]
    if choice.labels:
        places = [place for place in places if place[2] in choice.labels]
    if not places:
        raise RequestError(f"{splits[0].directory}: no clip that has a record is such as asked for")
    if choice.seed is None:
        chosen = _in_turns(places)[: choice.limit]
    else:
        drawn = np.random.default_rng(choice.seed).permutation(len(places))[: choice.limit]
        chosen = [places[place] for place in drawn]
    rows = [(splits[number], splits[number].clips.slice(row, 1).to_pylist()[0]) for number, row, _ in chosen]
    return sorted(rows, key=lambda found: (found[1]["label_index"], found[1]["clip_id"]))


def _in_turns(places: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Returns the first place of each label in the labels' order, then the second of each, and so on."""
    of_label: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for place in places:
        of_label[place[2]].append(place)
    turns = zip_longest(*(of_label[label] for label in sorted(of_label)))
    return [place for turn in turns for place in turn if place]


def _card(split: Split, row: dict[str, Any], several: bool) -> Card:
    facts = [split.split] if several else []
    facts += [flag for flag in contract.PICTURE_FLAGS if row[flag]]
    try:
        return card_of(read_clip(split, row), facts)
    except ClipError as error:
        return Card(row["label"] or "no label", row["clip_id"], " · ".join(facts), problem=error.detail)
