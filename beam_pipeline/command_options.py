"""What several commands are given in one way: a configuration, Beam's options, data sets to read."""

from __future__ import annotations

import argparse
import difflib
import functools
from collections.abc import Callable, Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from beam_pipeline.config import Config, load_config
from beam_pipeline.engines import LOCAL_RUNNERS
from beam_pipeline.errors import RequestError
from beam_pipeline.terminal import EXIT_FAILED, fail
from beam_pipeline.tfrecord import CorruptRecordError


def asked_config(question: str, arguments: argparse.Namespace, beam_args: Sequence[str] | None = None) -> Config:
    """Reads the configuration that a command line names.

    Args:
      question: what is asked where it names none.
      arguments: of the command line.
      beam_args: what the command's own parser left, to be checked together with what the configuration says to Beam;
        None: it is no command that hands them to Beam.

    Raises:
      RequestError: it names none, or one that can't be used, or nobody knows an option.
    """
    if not (arguments.config or arguments.settings):
        check_options(beam_args or (), arguments.parser)
        raise RequestError(f"{question} Give --config FILE, as in --config configs/k400.yaml")
    config = load_config(arguments.config, arguments.settings, arguments.data_dir)
    if beam_args is not None:
        check_options([*config.beam_arguments, *beam_args], arguments.parser)
    return config


def check_options(words: Sequence[str], command: argparse.ArgumentParser) -> None:
    """Refuses words of a command line that nobody knows; some runners have options of their own, as have launchers.

    Args:
      words: what the command's own parser left.
      command: that parser, for the options that may be meant.

    Raises:
      RequestError: neither the command nor Beam knows one of them.
    """
    options = PipelineOptions(list(words))
    runner = options.view_as(StandardOptions).runner
    submits = runner == "DataflowRunner" and not options.view_as(GoogleCloudOptions).template_location
    if runner not in LOCAL_RUNNERS and not submits:
        return
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    classes = [PipelineOptions]
    for cls in classes:
        classes += cls.__subclasses__()
        cls._add_argparse_args(parser)
    unknown = [word for word in parser.parse_known_args(list(words))[1] if word]
    if not unknown:
        return
    if not unknown[0].startswith("-"):
        raise RequestError(f"unexpected argument {unknown[0]}")
    typed = unknown[0].partition("=")[0]
    ours = [option for action in command._actions for option in action.option_strings if option != typed]
    near = difflib.get_close_matches(typed, ours, n=1)
    name = command.prog.rpartition(" ")[2]
    hint = f"did you mean {near[0]}?" if near else f"{name} --help lists ours, all others are Beam's"
    raise RequestError(f"unknown option {unknown[0]}: neither {name} nor Beam has it; {hint}")


def reads_data_sets(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace, Sequence[str]], int]:
    """Gives a command that reads data sets the options of Beam's that reaching them may need."""

    @functools.wraps(command)
    def with_beam_options(arguments: argparse.Namespace, beam_args: Sequence[str]) -> int:
        check_options(beam_args, arguments.parser)
        FileSystems.set_options(PipelineOptions(list(beam_args)))
        try:
            return command(arguments)
        except CorruptRecordError as error:
            return fail(f"{error}; verify tells what is broken", EXIT_FAILED)

    return with_beam_options
