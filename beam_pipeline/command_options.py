"""What several commands are given in one way: a configuration, Beam's options, data sets to read."""

from __future__ import annotations

import argparse
import difflib
import functools
from collections.abc import Callable, Sequence
from typing import NoReturn

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipeline.config import Config, load_config
from beam_pipeline.engines import LOCAL_RUNNERS
from beam_pipeline.errors import RequestError
from beam_pipeline.terminal import EXIT_FAILED, fail, with_hint
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
        if beam_args:
            check_options(beam_args, arguments.parser)
        raise RequestError(f"{question} Give --config FILE, as in --config configs/k400.yaml")
    config = load_config(arguments.config, arguments.settings, arguments.data_dir)
    if beam_args is not None:
        check_options([*config.beam_arguments, *beam_args], arguments.parser)
    return config


def check_options(words: Sequence[str], command: argparse.ArgumentParser, *, for_engine: bool = True) -> None:
    """Refuses words of a command line that nobody knows.

    Args:
      words: what the command's own parser left.
      command: that parser, for the options that may be meant.
      for_engine: whether the command hands them to the runner that they name, which may have options of its own, as
        have Dataflow's launchers.

    Raises:
      RequestError: neither the command nor Beam knows one of them, or Beam can't read its value.
    """
    parser = _BeamParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    classes = [PipelineOptions]
    for cls in classes:
        classes += cls.__subclasses__()
        cls._add_argparse_args(parser)
    known, rest = parser.parse_known_args(list(words))
    unknown = [word for word in rest if word]
    if not unknown:
        return
    if not unknown[0].startswith("-"):
        raise RequestError(f"unexpected argument {unknown[0]}")
    typed = unknown[0].partition("=")[0]
    ours = [option for action in command._actions for option in action.option_strings]
    submits = known.runner == "DataflowRunner" and not known.template_location
    may_be_engines = for_engine and known.runner not in LOCAL_RUNNERS and not submits
    near = difflib.get_close_matches(typed, ours, n=1, cutoff=0.8 if may_be_engines else 0.6)
    if may_be_engines and not near:
        return
    name = command.prog.rpartition(" ")[2]
    if typed in ours:
        raise RequestError(f"{typed}: options of {name} come before --")
    hint = f"did you mean {near[0]}?" if near else f"{name} --help lists ours, all others are Beam's"
    raise RequestError(f"unknown option {unknown[0]}: neither {name} nor Beam has it; {hint}")


class _BeamParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RequestError(with_hint(message))


def reads_data_sets(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace, Sequence[str]], int]:
    """Gives a command that reads data sets Beam's options, and tells of a record that is broken."""

    @functools.wraps(command)
    def with_beam_options(arguments: argparse.Namespace, beam_args: Sequence[str]) -> int:
        check_options(beam_args, arguments.parser, for_engine=False)
        FileSystems.set_options(PipelineOptions(list(beam_args)))
        try:
            return command(arguments)
        except CorruptRecordError as error:
            return fail(f"{error}; verify tells what is broken", EXIT_FAILED)

    return with_beam_options
