"""Lines for the person at the terminal, on standard error, and never anything a program should read.

`silent` stops all of them, `quiet` all but warnings and errors. Text from outside is shown escaped (`storage.entry.printable`), so a name
cannot steer the terminal.
"""

import sys
from enum import IntEnum

from storage.entry import printable


class Loudness(IntEnum):
    SILENT = 0
    QUIET = 1
    NORMAL = 2


PREFIX = "lineage: "


class Terminal:
    """Where lines go. One per process; `loudness` follows the settings of the run that began last."""

    def __init__(self) -> None:
        self.loudness = Loudness.NORMAL
        self._said: set[str] = set()

    def adjust(self, *, silent: bool, quiet: bool) -> None:
        self.loudness = Loudness.SILENT if silent else Loudness.QUIET if quiet else Loudness.NORMAL

    def say(self, text: str, needed: Loudness = Loudness.NORMAL, *, once: bool = False, newline: bool = True) -> None:
        """Write `text`, each line with the prefix, if the loudness is at least `needed`."""
        if self.loudness < needed or (once and text in self._said):
            return
        if once:
            self._said.add(text)
        lines = "\n".join(PREFIX + printable(line) for line in text.split("\n"))
        if sys.stderr is not None:
            sys.stderr.write(lines + ("\n" if newline else ""))
            sys.stderr.flush()


TERMINAL = Terminal()


def termlog(string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:  # noqa: ARG001  # the W&B signature
    """Say something that is good to know."""
    TERMINAL.say(string, once=not repeat, newline=newline)


def termwarn(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:  # noqa: ARG001  # the W&B signature
    """Say something the person should look at."""
    TERMINAL.say(f"warning: {string}", Loudness.QUIET, once=not repeat, newline=newline)


def termerror(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:  # noqa: ARG001  # the W&B signature
    """Say that something went wrong."""
    TERMINAL.say(f"error: {string}", Loudness.QUIET, once=not repeat, newline=newline)
