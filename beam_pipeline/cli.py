"""The command line: what may be said, and which module does it. `python -m beam_pipeline --help` lists the commands."""

from __future__ import annotations

import argparse
import importlib
import logging
import math
import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from beam_pipeline.errors import NoSummary, RequestError, RunError
from beam_pipeline.inspecting import DEFAULT_PREVIEWS
from beam_pipeline.planning import DEFAULT_SAMPLE
from beam_pipeline.terminal import EXIT_FAILED, EXIT_STOPPED, EXIT_USAGE, fail, prepare_output, shown, tell, with_hint
from tf_data import contract

# Each has a `main(arguments, beam_args)` that returns the exit status; it is loaded when its command is to run.
_MODULE_OF = {
    "run": "beam_pipeline.run_command",
    "fetch": "beam_pipeline.run_command",
    "plan": "beam_pipeline.planning.command",
    "status": "beam_pipeline.status_command",
    "prune": "beam_pipeline.prune_command",
    "verify": "beam_pipeline.checking.verify_command",
    "doctor": "beam_pipeline.checking.doctor_command",
    "diff": "beam_pipeline.checking.diff_command",
    "fingerprint": "beam_pipeline.checking.fingerprint_command",
    "filter": "beam_pipeline.filter_command",
    "flow": "beam_pipeline.viewing.flow_command",
    "inspect": "beam_pipeline.inspecting.command",
    "sheet": "beam_pipeline.viewing.sheet_command",
    "clip": "beam_pipeline.viewing.clip_command",
    "demo": "beam_pipeline.demo.command",
}
_WITHOUT_BEAM_OPTIONS = ("status", "prune", "filter", "flow", "demo")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status: 0 done, 1 failed, 2 a bad request, 3 stopped early on purpose."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if not arguments.command:
        parser.error("no command is given; --help lists them")
    if rest and arguments.command in _WITHOUT_BEAM_OPTIONS:
        arguments.parser.error(shown(f"unrecognized arguments: {' '.join(rest)}"))
    prepare_output(for_programs=bool(getattr(arguments, "json", False) or getattr(arguments, "csv", False)))
    # Beam warns of parts that are not installed and logs what it raises anyway; importing it may configure the root.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s: %(message)s", force=True)
    logging.getLogger("beam_pipeline").setLevel(logging.WARNING)
    logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, for as long as nothing has started
    try:
        status: int = importlib.import_module(_MODULE_OF[arguments.command]).main(arguments, rest)
        if sys.stdout:
            sys.stdout.flush()
        return status
    except RequestError as error:
        return fail(str(error), EXIT_USAGE)
    except RunError as error:
        return fail(str(error), EXIT_FAILED)
    except NoSummary as ended:
        tell(str(ended), sys.stderr)
        return ended.exit_status
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return EXIT_STOPPED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return EXIT_FAILED
        from beam_pipeline.object_stores import is_of_store

        if not is_of_store(error):
            raise
        if isinstance(error, OSError) and error.strerror:
            return fail(f"{error.filename}: {error.strerror}" if error.filename else error.strerror, EXIT_FAILED)
        return fail(" ".join(str(error).split()), EXIT_FAILED)
    finally:
        signal.signal(signal.SIGTERM, before)


def _nobody_reads() -> bool:
    """Whether who read the output has gone (`| head`); the rest of it then goes nowhere, and Python says nothing."""
    poll = select.poll()
    poll.register(sys.stdout, 0)  # of an end without the other the kernel tells unasked
    if not poll.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


class _Parser(argparse.ArgumentParser):
    """A parser whose errors say what to write.

    Attributes:
      when_lacking: what is said where an argument is not there.
    """

    when_lacking = ""

    def error(self, message: str) -> NoReturn:
        if message.startswith("the following arguments are required"):
            message += self.when_lacking
        super().error(with_hint(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m beam_pipeline", description=_DESCRIPTION)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(command="")

    def add(name: str, summary: str, description: str) -> _Parser:
        added = commands.add_parser(name, help=summary, description=description, allow_abbrev=False)
        added.set_defaults(command=name, parser=added)
        return added

    run = add("run", "make a data set, or go on with it", _RUN)
    run.add_argument("--overwrite", action="store_true", help="discard what is there of these splits and make it anew")
    run.set_defaults(fetch_only=False)
    fetch = add(
        "fetch", "fill the clip store (youtube, archive) and check what is in it, without making records", _FETCH
    )
    fetch.set_defaults(fetch_only=True, overwrite=False)
    for command in (run, fetch):
        _add_data_set(command)
        command.add_argument("--limit", type=_positive, metavar="N", help="only N clips of each split: the way to try")
        command.add_argument(
            "--retry",
            choices=["transient", "permanent"],
            default="transient",
            help="what of earlier failures to try (default: transient)",
        )
        command.add_argument("--json", action="store_true", help="print the summary as one JSON object")

    plan = add("plan", "what a run will take: shards, bytes, hours, dollars; measured on a sample", _PLAN)
    _add_data_set(plan)
    plan.add_argument(
        "--sample",
        type=_positive,
        metavar="N",
        default=DEFAULT_SAMPLE,
        help=f"clips to encode (default: {DEFAULT_SAMPLE})",
    )
    plan.add_argument(
        "--workers",
        type=_positive,
        metavar="N",
        help="machines to plan for, too (default: as Beam's options say, else 10)",
    )
    plan.add_argument(
        "--speed",
        type=_speed,
        metavar="X",
        default=1.0,
        help="speed of one of their processors by one here's (default: 1)",
    )
    plan.add_argument("--prices", metavar="FILE", help="a table of your own, like configs/prices/dataflow.yaml")
    plan.add_argument("--json", action="store_true", help="print the plan as one JSON object")

    status = add("status", "how far a data set and its store are, at any time and from any machine", _STATUS)
    _add_data_set(status)
    status.add_argument("--classes", action="store_true", help="all classes with failed clips, not the worst ten")
    status.add_argument("--csv", action="store_true", help="a row for every clip that anything is known of, instead")

    prune = add("prune", "delete from the store the clips whose records are sealed and right", _PRUNE)
    _add_data_set(prune)

    verify = add("verify", "read a whole data set and find what is not right", _VERIFY)
    verify.add_argument(
        "folders", metavar="FOLDER", nargs="*", help="of data sets or above them, instead of --config; needs no clips"
    )
    verify.add_argument(
        "--frames",
        choices=["none", "sample", "all"],
        default="sample",
        help="which images are decoded: none, one of each clip's frames and one of its flow (default), or all",
    )
    verify.add_argument("--mark", action="store_true", help="have the next run make anew what is broken")
    verify.add_argument("--report", metavar="FILE", help="where the workers of a --runner write what they find")
    verify.add_argument("--json", action="store_true", help="print a JSON object for each data set, one a line")
    _add_data_set(verify)

    doctor = add("doctor", "who can read a data set, and what in its ledger looks wrong", _DOCTOR)
    doctor.add_argument("folder", metavar="DATA", help="folder of a data set, also remote")
    doctor.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    doctor.add_argument("--sample", type=_positive, metavar="N", default=16, help="records to read (default: 16)")
    doctor.add_argument("--json", action="store_true", help="print a JSON object")

    diff = add("diff", "compare two data sets, clip by clip", _DIFF)
    diff.add_argument("a", metavar="A", help="folder of a data set, also remote")
    diff.add_argument("b", metavar="B", help="folder of another one")
    diff.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    diff.add_argument("--ledgers", action="store_true", help="compare ledgers alone: no pictures, no records")
    as_what = diff.add_mutually_exclusive_group()
    as_what.add_argument("--json", action="store_true", help="print a JSON object")
    as_what.add_argument("--csv", action="store_true", help="print a row for each clip that differs")

    fingerprint = add("fingerprint", "the lines by which a paper names a data set", _FINGERPRINT)
    fingerprint.add_argument("folder", metavar="DATA", help="folder of a data set, also remote")
    fingerprint.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    fingerprint.add_argument("--json", action="store_true", help="print a JSON object")

    filter_ = add("filter", "keep the rows of some classes of an annotation file", _FILTER)
    filter_.add_argument("class_list", metavar="CLASS_LIST", help="one class name a line")
    filter_.add_argument("annotations_in", metavar="ANNOTATIONS_IN")
    filter_.add_argument("annotations_out", metavar="ANNOTATIONS_OUT")

    flow = add("flow", "look at the optical flow of a video, frames or a record, without a run", _FLOW)
    flow.add_argument("inputs", metavar="INPUT", nargs="+", help="a video, a folder of frames, images, or a shard")
    flow.add_argument("out", metavar="OUT", type=Path, help="a .png, .mp4 or .flo file")
    flow.add_argument("--start", type=_seconds, metavar="S", help="seconds into a whole video (default: the beginning)")
    flow.add_argument("--duration", type=_length_s, metavar="S", default=10.0, help="seconds at most (default: 10)")
    flow.add_argument("--clip", metavar="ID", help="which record of a shard (default: the first); --clip=-x for -x")
    flow.add_argument(
        "--full_px", type=_length_px, metavar="PX", help="length that gets the full colour, in pixels a frame"
    )
    flow.add_argument("--overwrite", action="store_true", help="replace OUT")
    _add_configuration(flow)

    inspect = add("inspect", "a page to look at a data set with: counts, classes, clips that play", _INSPECT)
    inspect.add_argument("folder", metavar="DATA", help="folder of a data set, finished or being made")
    inspect.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    where = inspect.add_mutually_exclusive_group()
    where.add_argument(
        "--serve", type=_port, metavar="PORT", default=0, help="serve it to this machine (default: a port)"
    )
    where.add_argument("--out", metavar="DIR", help="write it to a folder that opens without a server")
    inspect.add_argument(
        "--previews", type=_count, metavar="N", help=f"of --out: clips with a film (default: {DEFAULT_PREVIEWS})"
    )
    inspect.add_argument("--overwrite", action="store_true", help="of --out: replace the page that is in DIR")

    sheet = add("sheet", "draw clips of a data set: pages of frames, flow and sound, .png", _SHEET)
    sheet.add_argument("folder", metavar="DATA", help="folder of a data set")
    sheet.add_argument("out", metavar="OUT", type=Path, nargs="?", default=Path("sheet.png"), help="a .png file")
    sheet.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    sheet.add_argument("--label", action="append", default=[], metavar="NAME", help="only this class; repeatable")
    sheet.add_argument(
        "--flag",
        action="append",
        default=[],
        choices=contract.FLAGS,
        help="only clips with this flag; repeatable",
    )
    sheet.add_argument(
        "--id", action="append", default=[], metavar="ID", help="just this clip; repeatable; --id=-x for one of -x"
    )
    sheet.add_argument("--limit", type=_positive, metavar="N", default=40, help="at most N clips (default: 40)")
    sheet.add_argument("--seed", type=_count, metavar="N", help="draw clips at random, instead of some of each class")
    sheet.add_argument("--overwrite", action="store_true", help="replace OUT")

    clip = add("clip", "cut one record of a data set into a film: .mp4, .webm or .gif", _CLIP)
    clip.when_lacking = "; before an id that begins with - there must be --, and options before that"
    clip.usage = f"{clip.prog} [options] DATA [--] ID OUT"
    clip.add_argument("folder", metavar="DATA", help="folder of a data set")
    clip.add_argument(
        "clip_id", metavar="ID", help="of a clip of any split; -- goes before one that begins with -, after all options"
    )
    clip.add_argument("out", metavar="OUT", type=Path, help="a .mp4, .webm or .gif file")
    clip.add_argument(
        "--flow",
        choices=["beside", "below", "alone"],
        help="show the flow, in colour: beside the frames, below them, or without them",
    )
    clip.add_argument("--height", type=_height, metavar="PX", help="of a frame (default: as it is stored)")
    clip.add_argument("--overwrite", action="store_true", help="replace OUT")

    demo = add("demo", "make a mini-Kinetics, run the job on it, show a batch and a picture", _DEMO)
    demo.add_argument("--out", metavar="DIR", default="demo", help="where everything goes (default: demo)")
    return parser


def _add_data_set(command: argparse.ArgumentParser) -> None:
    """Adds the options that say which data set is meant."""
    command.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    command.add_argument("--data_dir", metavar="DIR", help="where data sets go; wins over the configuration")
    _add_configuration(command)


def _add_configuration(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="YAML; configs/ has one for each Kinetics. Repeatable: a later file adds to those before it, and wins",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="set a dotted key of the configuration, as in encode.fps=12.5; repeatable, wins over the file",
    )


_DESCRIPTION = "From an annotation list of clips to sharded TFRecords that tf_data.load reads."
_RUN = """Makes the data set that a configuration describes. What is done already is kept: stop it at any time and run
it again. Options that are not listed here are Beam's (--runner=DataflowRunner ...); without --runner the job runs on
this machine. Exit status: 0 done (failed clips are in the ledger), 1 failed or nothing written, 2 a bad request,
3 stopped early on purpose."""
_FETCH = """Fetches what the store lacks, from where source.kind says (youtube, archive), and checks each clip once: it
opens, has video, and the right length. Stop it at any time and run it again. Options (of Beam's, too) and exit
status are those of run."""
_PLAN = """Looks at all that a run would look at, encodes a sample of the clips that are there, and says what all of
them will take, with the sample's standard error; and warns of what would go wrong. Options that are not listed here are
Beam's, as for run: --machine_type, --disk_size_gb. Nothing is made. Exit status: 0 done, whatever it warns of,
1 something can't be read or measured, 2 a bad request."""
_STATUS = """Tells from the files that runs leave beside their output and in the store: clips done and failed by reason
and by class, the rate of the last hour, when it will end, and how far each archive is read."""
_PRUNE = """Reads each finished shard to its end, compares every record with what the run said of it, and only then
deletes from the store the clips it was made of. Later runs keep these records. Exit status 1 where a shard is wrong."""
_VERIFY = """Reads every byte of every shard: framing, checksums, each record against the ledger; and ledger, index,
metadata and label list against the shards. A line for each thing that is wrong names file, record, offset and clip.
With --mark the next run makes anew what is broken and keeps the rest. Options that are not listed here are Beam's: with
--runner=NAME its workers read the shards. Exit status: 0 all is right, 1 something is not, 2 a bad request."""
_DOCTOR = """Reads some records as the public readers do (MediaPipe, DMVR, scenic, tf-models) and says which can, and
why not; compares the data set with I3D's preprocessing, item by item; and looks in its ledger for what is beyond
chance: classes, folders, shards and times with more failures than others, and for videos in two splits. Exit status:
0 nothing looks wrong, 1 something does, 2 a bad request."""
_DIFF = """Says which clips are only in one of two data sets, which have another split, label, length, size or picture,
and what the two were made with; summed up by class. Labels are compared by name, whatever their order. Exit status: 0
the same, 1 they differ, 2 a bad request."""
_FINGERPRINT = """Prints name, version, clips, classes, hours and settings, and digests that are the same for the same
records: in however many shards, and whenever they were made."""
_FILTER = """Keeps the rows whose label is in a list, and writes them in the format they were read in."""
_FLOW = """Decodes as a run does and estimates flow as a run does, by the configuration's encode and flow (--set
flow.method=dis); out of a shard comes the flow that is stored. OUT is a picture (.png: frames with arrows and flow in
colour), a film (.mp4), or the vectors as they are (.flo; of several pairs OUT-00000.flo and so on)."""
_INSPECT = """Shows what was asked for, written and failed, and why; classes, distributions, the configuration; and the
clips, to search, each with a film of its frames and flow, its sound and its record's keys. A page that is served makes
films when they are asked for; one that is written has those of a sample, and opens from a disk without a network. DATA
may be remote (gs://...). Exit status: 0 done, 1 something can't be read or written, 2 a bad request."""
_SHEET = """Draws ten clips a page in the order of their classes: frames over their time, flow in colour, sound. Without
--seed the first clip of each class, then the second of each, up to --limit. Several pages are OUT-01.png and so on.
DATA may be remote (gs://...), with Beam's options."""
_CLIP = """Writes a clip as its record holds it: all of its frames at their exact rate, and in .mp4 and .webm its sound.
DATA may be remote (gs://...), with Beam's options. Exit status: 0 done, 1 the clip has no record or a broken one,
2 a bad request."""
_DEMO = """Makes short clips of moving shapes with sound, runs the real job on them with RGB, optical flow and audio,
reads a batch back and draws a contact sheet. Needs no network."""


def _whole(text: str, what: str, least: int, most: int = 10**18) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"must be {what}, got {text!r}")
    return int(text)


def _positive(text: str) -> int:
    return _whole(text, "a whole number above 0", 1)


def _count(text: str) -> int:
    return _whole(text, "a whole number from 0", 0)


def _port(text: str) -> int:
    return _whole(text, "a port, 0 (any that is free) to 65535", 0, 65535)


def _height(text: str) -> int:
    return _whole(text, "16 to 2160 pixels", 16, 2160)


def _seconds(text: str) -> float:
    return _number(text, "seconds from 0 to 1,000,000", at_least=0)


def _length_s(text: str) -> float:
    return _number(text, "seconds from 0.001 to 1,000,000", at_least=0.001)


def _speed(text: str) -> float:
    return _number(text, "a factor, 0.01 or more", at_least=0.01)


def _length_px(text: str) -> float:
    return _number(text, "pixels from 0.001 to 1,000,000", at_least=0.001)


def _number(text: str, what: str, at_least: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not at_least <= number <= 1_000_000:
        raise argparse.ArgumentTypeError(f"must be {what}, got {text!r}")
    return number
