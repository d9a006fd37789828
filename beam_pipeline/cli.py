"""The command line. `python -m beam_pipeline --help` lists the commands; each imports what it needs when it runs."""

from __future__ import annotations

import argparse
import difflib
import logging
import math
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from beam_pipeline.planning import DEFAULT_SAMPLE

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_STOPPED = 0, 1, 2, 3
_PREVIEWS = 100


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status: 0 done, 1 failed, 2 a bad request, 3 stopped early on purpose."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.command not in _TAKE_BEAM_OPTIONS:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    # Beam warns of parts that are not installed and logs what it raises anyway; importing it may configure the root.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s: %(message)s", force=True)
    logging.getLogger("beam_pipeline").setLevel(logging.WARNING)
    logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, for as long as nothing has started
    try:
        status = arguments.command(arguments, rest)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return EXIT_STOPPED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return EXIT_FAILED
        from beam_pipeline.object_stores import is_of_store

        if not is_of_store(error):
            raise
        return _fail(" ".join(str(error).split()), EXIT_FAILED)  # a disk or a store that a command only reads
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m beam_pipeline", description=__package__ and _DESCRIPTION)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Callable, summary: str, description: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=description, allow_abbrev=False)
        added.set_defaults(command=command)
        return added

    run = add("run", _run, "make a data set, or go on with it", _RUN)
    run.add_argument("--overwrite", action="store_true", help="discard what is there of these splits and make it anew")
    fetch = add("fetch", _fetch, "fill the clip store and check what is in it, without making records", _FETCH)
    for command in (run, fetch):
        _add_data_set(command)
        command.add_argument("--limit", type=_positive, metavar="N", help="only N clips of each split: the way to try")
        command.add_argument(
            "--retry", choices=["transient", "permanent"], default="transient", help="what of earlier failures to try"
        )
        command.add_argument("--json", action="store_true", help="print the summary as one JSON object")

    plan = add("plan", _plan, "what a run will take: shards, bytes, hours, dollars; measured on a sample", _PLAN)
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

    status = add("status", _status, "how far a data set and its store are, at any time and from any machine", _STATUS)
    _add_data_set(status)
    status.add_argument("--classes", action="store_true", help="all classes with failed clips, not the worst ten")
    status.add_argument("--csv", action="store_true", help="a row for every clip that anything is known of, instead")

    prune = add("prune", _prune, "delete from the store the clips whose records are sealed and right", _PRUNE)
    _add_data_set(prune)

    verify = add("verify", _verify, "read a whole data set and find what is not right", _VERIFY)
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

    doctor = add("doctor", _doctor, "who can read a data set, and what in its ledger looks wrong", _DOCTOR)
    doctor.add_argument("folder", metavar="DATA", help="folder of a data set, also remote")
    doctor.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    doctor.add_argument("--sample", type=_positive, metavar="N", default=16, help="records to read (default: 16)")
    doctor.add_argument("--json", action="store_true", help="print a JSON object")

    diff = add("diff", _diff, "compare two data sets, clip by clip", _DIFF)
    diff.add_argument("a", metavar="A", help="folder of a data set, also remote")
    diff.add_argument("b", metavar="B", help="folder of another one")
    diff.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    diff.add_argument("--ledgers", action="store_true", help="compare ledgers alone: no pictures, no records")
    as_what = diff.add_mutually_exclusive_group()
    as_what.add_argument("--json", action="store_true", help="print a JSON object")
    as_what.add_argument("--csv", action="store_true", help="print a row for each clip that differs")

    fingerprint = add("fingerprint", _fingerprint, "the lines by which a paper names a data set", _FINGERPRINT)
    fingerprint.add_argument("folder", metavar="DATA", help="folder of a data set, also remote")
    fingerprint.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    fingerprint.add_argument("--json", action="store_true", help="print a JSON object")

    filter_ = add("filter", _filter, "keep the rows of some classes of an annotation file", _FILTER)
    filter_.add_argument("class_list", metavar="CLASS_LIST", help="one class name a line")
    filter_.add_argument("annotations_in", metavar="ANNOTATIONS_IN")
    filter_.add_argument("annotations_out", metavar="ANNOTATIONS_OUT")

    flow = add("flow", _flow, "look at the optical flow of a video, frames or a record, without a run", _FLOW)
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

    inspect = add("inspect", _inspect, "a page to look at a data set with: counts, classes, clips that play", _INSPECT)
    inspect.add_argument("folder", metavar="DATA", help="folder of a data set, finished or being made")
    inspect.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    where = inspect.add_mutually_exclusive_group()
    where.add_argument(
        "--serve", type=_port, metavar="PORT", default=0, help="serve it to this machine (default: a port)"
    )
    where.add_argument("--out", metavar="DIR", help="write it to a folder that opens without a server")
    inspect.add_argument(
        "--previews", type=_count, metavar="N", help=f"of --out: clips with a film (default: {_PREVIEWS})"
    )
    inspect.add_argument("--overwrite", action="store_true", help="of --out: replace the page that is in DIR")

    sheet = add("sheet", _sheet, "draw clips of a data set: pages of frames, flow and sound, .png", _SHEET)
    sheet.add_argument("folder", metavar="DATA", help="folder of a data set")
    sheet.add_argument("out", metavar="OUT", type=Path, nargs="?", default=Path("sheet.png"), help="a .png file")
    sheet.add_argument("--split", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    sheet.add_argument("--label", action="append", default=[], metavar="NAME", help="only this class; repeatable")
    sheet.add_argument(
        "--flag",
        action="append",
        default=[],
        choices=["short", "damaged", "rotated", "has_audio"],
        help="only clips with this flag; repeatable",
    )
    sheet.add_argument(
        "--id", action="append", default=[], metavar="ID", help="just this clip; repeatable; --id=-x for one of -x"
    )
    sheet.add_argument("--limit", type=_positive, metavar="N", default=40, help="at most N clips (default: 40)")
    sheet.add_argument("--seed", type=_seed, metavar="N", help="draw clips at random, instead of some of each class")
    sheet.add_argument("--overwrite", action="store_true", help="replace OUT")

    clip = add("clip", _clip, "cut one record of a data set into a film: .mp4, .webm or .gif", _CLIP)
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

    demo = add("demo", _demo, "make a mini-Kinetics, run the job on it, show a batch and a picture", _DEMO)
    demo.add_argument("--out", metavar="DIR", default="demo", help="where everything goes (default: demo)")
    return parser


def _port(text: str) -> int:
    """Reads a port of this machine; 0 is any that is free."""
    if not (text.isascii() and text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"must be a port, 0 to 65535, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be a number, 0 or more, got {text!r}")
    return int(text)


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
opens, has video, and the right length. Stop it at any time and run it again. Options and exit status are run's."""
_PLAN = """Looks at all that a run would look at, encodes a sample of the clips that are there, and says what all of
them will take, with the sample's standard error; and warns of what would go wrong. Options that are not listed here are
Beam's, as for run: --machine_type, --disk_size_gb. Nothing is made."""
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
DATA may be remote (gs://...)."""
_CLIP = """Writes a clip as its record holds it: all of its frames at their exact rate, and in .mp4 and .webm its sound.
DATA may be remote (gs://...). Exit status: 0 done, 1 the clip has no record or a broken one, 2 a bad request."""
_DEMO = """Makes short clips of moving shapes with sound, runs the real job on them with RGB, optical flow and audio,
reads a batch back and draws a contact sheet. Needs no network."""


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, got {text!r}")
    return int(text)


def _height(text: str) -> int:
    height = _positive(text)
    if not 16 <= height <= 2160:
        raise argparse.ArgumentTypeError(f"must be 16 to 2160 pixels, got {text!r}")
    return height


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


def _run(arguments: argparse.Namespace, beam_args: list[str]) -> int:
    return _run_job(arguments, beam_args, overwrite=arguments.overwrite)


def _fetch(arguments: argparse.Namespace, beam_args: list[str]) -> int:
    return _run_job(arguments, beam_args, fetch_only=True)


def _run_job(arguments: argparse.Namespace, beam_args: list[str], **how: bool) -> int:
    from beam_pipeline.annotations import AnnotationError
    from beam_pipeline.config import ConfigError, load_config
    from beam_pipeline.dataflow import NoSummary
    from beam_pipeline.job import RunError
    from beam_pipeline.run import run
    from beam_pipeline.store import StoreError

    if nothing := _nothing_asked("what is to be made?", arguments):
        return _fail(_unknown_options(beam_args) or nothing, EXIT_USAGE)
    try:
        config = load_config(arguments.config, arguments.settings, arguments.data_dir)
        if unknown := _unknown_options([*config.beam_arguments, *beam_args]):
            return _fail(unknown, EXIT_USAGE)
        summary = run(
            config,
            splits=arguments.split,
            limit=arguments.limit,
            retry_permanent=arguments.retry == "permanent",
            beam_args=beam_args,
            **how,
        )
    except (ConfigError, AnnotationError, StoreError) as error:
        return _fail(str(error), EXIT_USAGE)
    except RunError as error:
        return _fail(str(error), EXIT_FAILED)
    except NoSummary as ended:
        print(ended, file=sys.stderr)
        return ended.exit_status
    print(summary.as_json() if arguments.json else summary.as_text())
    return summary.exit_status


def _plan(arguments: argparse.Namespace, beam_args: list[str]) -> int:
    from beam_pipeline.annotations import AnnotationError
    from beam_pipeline.config import ConfigError, load_config
    from beam_pipeline.job import RunError
    from beam_pipeline.planning.command import make_plan
    from beam_pipeline.planning.prices import read_prices
    from beam_pipeline.planning.report import as_json, as_text
    from beam_pipeline.pool import PoolError
    from beam_pipeline.store import StoreError

    if nothing := _nothing_asked("what is to be planned?", arguments):
        return _fail(_unknown_options(beam_args) or nothing, EXIT_USAGE)
    try:
        config = load_config(arguments.config, arguments.settings, arguments.data_dir)
        if unknown := _unknown_options([*config.beam_arguments, *beam_args]):
            return _fail(unknown, EXIT_USAGE)
        prices = read_prices(arguments.prices)
        plan = make_plan(
            config,
            prices,
            splits=arguments.split,
            sample=arguments.sample,
            workers=arguments.workers,
            speed=arguments.speed,
            beam_args=beam_args,
        )
    except (ConfigError, AnnotationError, StoreError) as error:
        return _fail(str(error), EXIT_USAGE)
    except (RunError, PoolError) as error:
        return _fail(str(error), EXIT_FAILED)
    print(as_json(plan) if arguments.json else as_text(plan, prices))
    return EXIT_OK


def _status(arguments: argparse.Namespace, _: list[str]) -> int:
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_pipeline.config import ConfigError, chosen_splits, load_config
    from beam_pipeline.job import fetch_directory
    from beam_pipeline.status import archives_of, as_text, read_status, write_csv

    if nothing := _nothing_asked("which data set?", arguments):
        return _fail(nothing, EXIT_USAGE)
    try:
        config = load_config(arguments.config, arguments.settings, arguments.data_dir)
        splits = tuple(chosen_splits(config, arguments.split))
    except ConfigError as error:
        return _fail(str(error), EXIT_USAGE)
    FileSystems.set_options(PipelineOptions(config.beam_arguments))
    in_store = fetch_directory(config.source.store, config.name)
    if arguments.csv:
        if write_csv((config.version_dir, in_store), splits, sys.stdout):
            return EXIT_OK
        return _fail(f"no run has begun: nothing in {config.version_dir} and {in_store}", EXIT_USAGE)
    made, fetched = (read_status(directory, splits) for directory in (config.version_dir, in_store))
    if not made and not fetched:
        return _fail(f"no run has begun: nothing in {config.version_dir} and {in_store}", EXIT_USAGE)
    store = config.source.store
    print(as_text(store, archives_of(store), fetched, made, arguments.classes))
    return EXIT_OK


def _prune(arguments: argparse.Namespace, _: list[str]) -> int:
    from beam_pipeline.config import ConfigError, chosen_splits, load_config
    from beam_pipeline.job import RunError
    from beam_pipeline.run import prune_store
    from beam_pipeline.store import StoreError

    if nothing := _nothing_asked("which data set?", arguments):
        return _fail(nothing, EXIT_USAGE)
    try:
        config = load_config(arguments.config, arguments.settings, arguments.data_dir)
        pruned = prune_store(config, chosen_splits(config, arguments.split))
    except (ConfigError, StoreError) as error:
        return _fail(str(error), EXIT_USAGE)
    except RunError as error:
        return _fail(str(error), EXIT_FAILED)
    for problem in pruned.problems:
        print(problem, file=sys.stderr)
    print(pruned.as_text())
    return EXIT_FAILED if pruned.problems else EXIT_OK


def _verify(arguments: argparse.Namespace, beam_args: list[str]) -> int:
    from beam_pipeline.checking.verify_command import verify_data_sets
    from beam_pipeline.checking.verifying import VerifyError
    from beam_pipeline.config import ConfigError, chosen_splits, load_config
    from beam_pipeline.data_set import DataSetError
    from beam_pipeline.dataflow import NoSummary
    from beam_pipeline.job import RunError

    if bool(arguments.folders) == bool(arguments.config or arguments.settings):
        return _fail("what is to be verified? Give folders of data sets, or --config FILE", EXIT_USAGE)
    right = True
    try:
        folders, splits = arguments.folders, arguments.split
        if not folders:
            config = load_config(arguments.config, arguments.settings, arguments.data_dir)
            folders, splits = [config.version_dir], splits and chosen_splits(config, splits)
            of_config = [word for word in config.beam_arguments if not word.startswith("--runner=")]  # a run's
            beam_args = [*of_config, *beam_args]
        if unknown := _unknown_options(beam_args):
            return _fail(unknown, EXIT_USAGE)
        how = {"frames": arguments.frames, "report": arguments.report}
        for verified in verify_data_sets(folders, splits, arguments.mark, beam_args, **how):
            print(verified.as_json() if arguments.json else _shown(verified.as_text()))
            right = right and not verified.problems
    except (ConfigError, DataSetError, VerifyError) as error:
        return _fail(str(error), EXIT_USAGE)
    except RunError as error:
        return _fail(str(error), EXIT_FAILED)
    except NoSummary as ended:
        print(ended, file=sys.stderr)
        return ended.exit_status
    return EXIT_OK if right else EXIT_FAILED


def _nothing_asked(question: str, arguments: argparse.Namespace) -> str:
    """Returns a question, with the way to answer it, where a command line says nothing of a configuration."""
    if arguments.config or arguments.settings:
        return ""
    return f"{question} Give --config FILE, as in --config configs/k400.yaml"


def _doctor(arguments: argparse.Namespace, beam_args: list[str]) -> int:
    from beam_pipeline.checking.doctor import diagnose

    def look() -> int:
        diagnosis = diagnose(arguments.folder, arguments.split, arguments.sample)
        print(diagnosis.as_json() if arguments.json else _shown(diagnosis.as_text()))
        return EXIT_FAILED if diagnosis.suspicions else EXIT_OK

    return _read_data_sets(look, beam_args)


def _diff(arguments: argparse.Namespace, beam_args: list[str]) -> int:
    from beam_pipeline.checking.diffing import diff

    def compare() -> int:
        found = diff(arguments.a, arguments.b, arguments.split, read_records=not arguments.ledgers)
        if arguments.csv:
            found.write_csv(sys.stdout)
        else:
            print(found.as_json() if arguments.json else _shown(found.as_text()))
        return EXIT_OK if found.same else EXIT_FAILED

    return _read_data_sets(compare, beam_args)


def _fingerprint(arguments: argparse.Namespace, beam_args: list[str]) -> int:
    from beam_pipeline.checking.fingerprinting import fingerprint

    def tell() -> int:
        found = fingerprint(arguments.folder, arguments.split)
        print(found.as_json() if arguments.json else _shown(found.as_text()))
        return EXIT_OK

    return _read_data_sets(tell, beam_args)


def _read_data_sets(command: Callable[[], int], beam_args: Sequence[str]) -> int:
    """Runs a command that reads data sets, which Beam's options may be needed to reach."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_pipeline.data_set import DataSetError
    from beam_pipeline.tfrecord import CorruptRecordError

    if unknown := _unknown_options(beam_args):
        return _fail(unknown, EXIT_USAGE)
    FileSystems.set_options(PipelineOptions(list(beam_args)))
    try:
        return command()
    except DataSetError as error:
        return _fail(str(error), EXIT_USAGE)
    except CorruptRecordError as error:
        return _fail(f"{error}; verify tells what is broken", EXIT_FAILED)


def _unknown_options(arguments: Sequence[str]) -> str | None:
    """Says which options nobody knows; some runners have options of their own, and so have Dataflow's launchers."""
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

    from beam_pipeline.engines import LOCAL_RUNNERS

    options = PipelineOptions(list(arguments))
    runner = options.view_as(StandardOptions).runner
    submits = runner == "DataflowRunner" and not options.view_as(GoogleCloudOptions).template_location
    if runner not in LOCAL_RUNNERS and not submits:
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    classes = [PipelineOptions]
    for cls in classes:
        classes += cls.__subclasses__()
        cls._add_argparse_args(parser)
    unknown = [word for word in parser.parse_known_args(list(arguments))[1] if word]
    if not unknown:
        return None
    ours = ["--config", "--split", "--data_dir", "--set", "--limit", "--overwrite", "--retry", "--json"]
    near = difflib.get_close_matches(unknown[0].partition("=")[0], ours, n=1)
    hint = f"; did you mean {near[0]}?" if near else "; run --help lists ours, all others are Beam's"
    return f"unknown option {unknown[0]}{hint}"


def _filter(arguments: argparse.Namespace, _: list[str]) -> int:
    from beam_pipeline import files
    from beam_pipeline.annotations import AnnotationError
    from beam_pipeline.filtering import filter_annotations

    try:
        replaced = files.size(arguments.annotations_out) is not None
        counts = filter_annotations(arguments.class_list, arguments.annotations_in, arguments.annotations_out)
    except (AnnotationError, ValueError, OSError) as error:
        return _fail(str(error), EXIT_USAGE)
    for name, kept in sorted(counts.kept_by_class.items()):
        print(f"{kept:>9,} {name}")
    instead = ", in place of what was there" if replaced else ""
    print(f"{counts.kept:>9,} of {counts.rows:,} rows kept, in {arguments.annotations_out}{instead}")
    if counts.unreadable:
        print(f"{counts.unreadable:>9,} rows left out whose label can't be read")
    return EXIT_OK


def _flow(arguments: argparse.Namespace, _: list[str]) -> int:
    from beam_pipeline.clips import ClipError
    from beam_pipeline.config import ConfigError
    from beam_pipeline.viewing.flow_clip import Span
    from beam_pipeline.viewing.flow_command import view_flow
    from beam_pipeline.viewing.new_files import RequestError

    try:
        files = view_flow(
            arguments.inputs,
            arguments.out,
            Span(arguments.start, arguments.duration),
            config=arguments.config,
            settings=arguments.settings,
            clip_id=arguments.clip,
            full_px=arguments.full_px,
            overwrite=arguments.overwrite,
        )
    except (RequestError, ConfigError) as error:
        return _fail(str(error), EXIT_USAGE)
    except ClipError as error:
        return _fail(f"{arguments.inputs[0]}: {error.detail}", EXIT_FAILED)
    except OSError as error:
        return _fail(f"{error.filename or arguments.out}: {error.strerror or error}", EXIT_FAILED)
    print(_shown(str(files[0]) if len(files) == 1 else f"{files[0]} to {files[-1].name}: {len(files)} pairs"))
    return EXIT_OK


def _inspect(arguments: argparse.Namespace, beam_args: list[str]) -> int:
    from beam_pipeline.inspecting.command import inspect_to_files, serve
    from beam_pipeline.inspecting.site import SiteError

    out, previews, overwrite = arguments.out, arguments.previews, arguments.overwrite
    if out is None and (overwrite or previews is not None):
        return _fail(f"--{'overwrite' if overwrite else 'previews'} is of --out DIR, which is not there", EXIT_USAGE)

    def show() -> int:
        try:
            if out is None:
                serve(arguments.folder, arguments.split, arguments.serve)
            else:
                count = _PREVIEWS if previews is None else previews
                page = inspect_to_files(arguments.folder, arguments.split, out, count, overwrite)
                print(_shown(f"{page}: open it in a browser"))
        except SiteError as error:
            return _fail(str(error), EXIT_USAGE)
        except OSError as error:
            return _fail(f"{error.filename or arguments.folder}: {error.strerror or error}", EXIT_FAILED)
        return EXIT_OK

    return _read_data_sets(show, beam_args)


def _sheet(arguments: argparse.Namespace, beam_args: list[str]) -> int:
    from beam_pipeline.viewing.new_files import RequestError
    from beam_pipeline.viewing.sheet_command import Choice, write_sheets

    asked = arguments
    choice = Choice(asked.split, asked.label, asked.flag, asked.id, asked.limit, asked.seed)

    def draw() -> int:
        try:
            paths = write_sheets(asked.folder, asked.out, choice, overwrite=asked.overwrite)
        except RequestError as error:
            return _fail(str(error), EXIT_USAGE)
        except OSError as error:
            return _fail(f"{error.filename or asked.out}: {error.strerror or error}", EXIT_FAILED)
        print(_shown(str(paths[0]) if len(paths) == 1 else f"{paths[0]} to {paths[-1].name}: {len(paths)} pages"))
        return EXIT_OK

    return _read_data_sets(draw, beam_args)


def _clip(arguments: argparse.Namespace, beam_args: list[str]) -> int:
    from beam_pipeline.clips import ClipError
    from beam_pipeline.viewing.clip_command import cut_clip
    from beam_pipeline.viewing.new_files import RequestError

    layouts = {None: "frames", "alone": "flow"}

    def cut() -> int:
        try:
            clip = cut_clip(
                arguments.folder,
                arguments.clip_id,
                arguments.out,
                layout=layouts.get(arguments.flow, arguments.flow),
                height=arguments.height,
                overwrite=arguments.overwrite,
            )
        except RequestError as error:
            return _fail(str(error), EXIT_USAGE)
        except ClipError as error:
            return _fail(error.detail, EXIT_FAILED)
        except OSError as error:
            return _fail(f"{error.filename or arguments.out}: {error.strerror or error}", EXIT_FAILED)
        facts = f"{len(clip.frames)} frames at {float(clip.frame_rate):g}/s, {clip.duration_s:.2f} s"
        print(_shown(f"{arguments.out}: {clip.label or 'no label'}, {facts}"))
        return EXIT_OK

    return _read_data_sets(cut, beam_args)


def _demo(arguments: argparse.Namespace, _: list[str]) -> int:
    from beam_pipeline.demo.command import run_demo

    return run_demo(Path(arguments.out))


_TAKE_BEAM_OPTIONS = (_run, _fetch, _plan, _verify, _doctor, _diff, _fingerprint, _inspect, _sheet, _clip)


def _fail(message: str, status: int) -> int:
    print(f"error: {_shown(message)}", file=sys.stderr)
    return status


def _shown(text: str) -> str:
    """Returns text without what a terminal obeys: names of files and records may be a stranger's."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )
