"""How a command ends: the exit code a script can rely on, and what a person reads when the answer is not the one he hoped for.

An error is two lines on standard error, `error: …` with the message and `hint: …` with a way on, or with `--json` one JSON document. It
is never a traceback, unless `LINEAGE_DEBUG` is set. Which error gives which code is a table; the nearest class decides.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from lineage.model import errors as meaning
from storage import errors as storage
from storage.entry import printable

Found = TypeVar("Found")


class Exit(IntEnum):
    OK = 0
    NO = 1
    USAGE = 2
    DAMAGE = 3
    REFUSED = 4
    UNAVAILABLE = 5
    DEFECT = 70
    INTERRUPTED = 130


EXPLAINED: dict[Exit, str] = {
    Exit.OK: "done; the answer is yes",
    Exit.NO: "the answer is no, or there is no such thing",
    Exit.USAGE: "the call is wrong: change it",
    Exit.DAMAGE: "verification found damage",
    Exit.REFUSED: "not now: busy, in conflict, or waiting for a confirmation (--yes)",
    Exit.UNAVAILABLE: "storage or network cannot be used now: free space, wait, try again",
    Exit.DEFECT: "a defect of this program; LINEAGE_DEBUG=1 shows where",
    Exit.INTERRUPTED: "interrupted with Ctrl-C",
}

EXITS: dict[type[BaseException], Exit] = {
    meaning.CommError: Exit.NO,
    meaning.Conflict: Exit.REFUSED,
    meaning.UsageError: Exit.USAGE,
    meaning.ArtifactStatusError: Exit.USAGE,
    meaning.WaitTimeoutError: Exit.REFUSED,
    meaning.CatalogError: Exit.UNAVAILABLE,
    meaning.CatalogBusy: Exit.REFUSED,
    meaning.CatalogDamaged: Exit.DAMAGE,
    meaning.Error: Exit.NO,
    storage.Refused: Exit.USAGE,
    storage.Missing: Exit.NO,
    storage.Changed: Exit.REFUSED,
    storage.Corrupt: Exit.DAMAGE,
    storage.Unreadable: Exit.NO,
    storage.Unavailable: Exit.UNAVAILABLE,
    storage.UnknownFormat: Exit.UNAVAILABLE,
    storage.StorageError: Exit.UNAVAILABLE,
    KeyboardInterrupt: Exit.INTERRUPTED,
    OSError: Exit.UNAVAILABLE,
}
"""Error class → exit code; a class that is not here takes its nearest ancestor's."""

HINTS: dict[type[BaseException], str] = {
    meaning.NotFound: "'lineage ls' shows the projects, 'lineage ls PROJECT' what is in one; --home DIR looks elsewhere",
    meaning.Gone: "its lineage remains: 'lineage show', 'lineage up' and 'lineage down' still answer",
    meaning.InvalidName: "a name is [entity/][project/]name[:version|:alias|:digest]",
    meaning.CatalogBusy: "another program is writing: try again in a moment",
    meaning.CatalogDamaged: "'lineage verify' says what is wrong; restore from a backup",
    storage.StoreFull: "'lineage reclaim' frees what nothing needs any more",
    storage.Corrupt: "'lineage verify --deep' checks everything that is stored",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, for a person and for a program."""

    exit: Exit
    code: str
    message: str
    hint: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """What `error` means; one that nobody foresaw means that the program itself is wrong."""
        found = _nearest(error, EXITS)
        if found is None:
            hint = "this is a defect of lineage: LINEAGE_DEBUG=1 shows where, please report it"
            return cls(Exit.DEFECT, "defect", f"{type(error).__name__}: {error}", hint)
        code = getattr(error, "code", None)
        return cls(found, code if isinstance(code, str) else found.name.lower(), str(error) or type(error).__name__, _nearest(error, HINTS))

    def lines(self) -> str:
        """For a person: the message and, where there is one, a way on."""
        hint = f"\nhint: {printable(self.hint)}" if self.hint else ""
        return "error: " + "\n".join(map(printable, self.message.splitlines())) + hint

    def document(self) -> str:
        """For a program: `{"error": {"code", "exit", "message", "hint"}}`."""
        return json.dumps(
            {"error": {"code": self.code, "exit": int(self.exit), "message": self.message, "hint": self.hint}}, ensure_ascii=False
        )


def _nearest(error: BaseException, table: Mapping[type[BaseException], Found]) -> Found | None:
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)
