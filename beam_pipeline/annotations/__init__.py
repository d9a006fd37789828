"""Annotation lists: which clips are asked for, from any list that Kinetics and its kin are published as.

    selection ─▶ reading ─▶ tables | listings | objects ─▶ opening, rows

`docs/annotations.md` shows the formats and says what becomes of bad rows.
"""

from beam_pipeline.annotations.opening import AnnotationError
from beam_pipeline.annotations.reading import read_rows
from beam_pipeline.annotations.rows import Row, merge
from beam_pipeline.annotations.selection import Scan, Selection, scan, selected_rows

__all__ = ["AnnotationError", "Row", "Scan", "Selection", "merge", "read_rows", "scan", "selected_rows"]
