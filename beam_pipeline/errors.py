"""How a command ends that can't do what it was asked; the command line tells it and makes it an exit status."""

from __future__ import annotations


class RequestError(Exception):
    """What is asked for can't be done, whatever a clip holds; the message says what to ask for instead."""


class RunError(Exception):
    """What is wrong with the run and not with a clip: it stops the job, and the message says what to do."""


class NoSummary(Exception):  # noqa: N818 - nothing went wrong
    """A run that ends here without knowing what became of its clips, as it should: the message says what to do next.

    Args:
      message: for people.
      exit_status: of the command line.
    """

    def __init__(self, message: str, exit_status: int):
        super().__init__(message)
        self.exit_status = exit_status
