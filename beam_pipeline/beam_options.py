"""Beam's options on a command line: which of them nobody knows, and commands that need them to reach a data set."""

from __future__ import annotations

import argparse
import difflib
import functools
from collections.abc import Callable, Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from beam_pipeline.data_set import DataSetError
from beam_pipeline.engines import LOCAL_RUNNERS
from beam_pipeline.terminal import EXIT_FAILED, EXIT_USAGE, fail
from beam_pipeline.tfrecord import CorruptRecordError


def unknown_options(words: Sequence[str], command: argparse.ArgumentParser) -> str | None:
    """Says what of a command line nobody knows; some runners have options of their own, as have Dataflow's launchers.

    Args:
      words: what the command's own parser left.
      command: that parser, for the options that may be meant.
    """
    options = PipelineOptions(list(words))
    runner = options.view_as(StandardOptions).runner
    submits = runner == "DataflowRunner" and not options.view_as(GoogleCloudOptions).template_location
    if runner not in LOCAL_RUNNERS and not submits:
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    classes = [PipelineOptions]
    for cls in classes:
        classes += cls.__subclasses__()
        cls._add_argparse_args(parser)
    unknown = [word for word in parser.parse_known_args(list(words))[1] if word]
    if not unknown:
        return None
    if not unknown[0].startswith("-"):
        return f"unexpected argument {unknown[0]}"
    typed = unknown[0].partition("=")[0]
    ours = [option for action in command._actions for option in action.option_strings if option != typed]
    near = difflib.get_close_matches(typed, ours, n=1)
    name = command.prog.rpartition(" ")[2]
    hint = f"did you mean {near[0]}?" if near else f"{name} --help lists ours, all others are Beam's"
    return f"unknown option {unknown[0]}: neither {name} nor Beam has it; {hint}"


def reads_data_sets(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace, Sequence[str]], int]:
    """Gives a command that reads data sets Beam's options, which may be needed to reach them, and tells its errors."""

    @functools.wraps(command)
    def with_beam_options(arguments: argparse.Namespace, beam_args: Sequence[str]) -> int:
        if unknown := unknown_options(beam_args, arguments.parser):
            return fail(unknown, EXIT_USAGE)
        FileSystems.set_options(PipelineOptions(list(beam_args)))
        try:
            return command(arguments)
        except DataSetError as error:
            return fail(str(error), EXIT_USAGE)
        except CorruptRecordError as error:
            return fail(f"{error}; verify tells what is broken", EXIT_FAILED)

    return with_beam_options
