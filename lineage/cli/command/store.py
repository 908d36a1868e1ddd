"""The store as a whole: `init` makes one, `backup` copies what cannot simply be copied."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lineage.actions.backup import backup as copy
from lineage.cli import text
from lineage.cli.outcome import Exit
from lineage.cli.shell import Shell
from lineage.model.errors import Conflict
from storage.blob.home import Home
from storage.digest import DEFAULT_ALGORITHM


def init(
    shell: Shell,
    digest: Annotated[
        Literal["blake3", "sha256"] | None, typer.Option("--digest", help="What bytes are named by, once and for all. Else blake3.")
    ] = None,
) -> Exit:
    """Make the store, where there is none yet. The first 'put' and the first run of a program make it too.

    Examples:
      lineage init
      lineage init --home ~/store --digest sha256
    """
    is_new = Home.open(shell.settings.place) is None
    with shell.engine(create=True, algorithm=digest or DEFAULT_ALGORITHM) as engine:
        root, stated = engine.home.root, engine.home.format
    if digest not in (None, stated.algorithm):
        raise Conflict(
            f"the store in {root} was made with {stated.algorithm} digests and keeps them: leave --digest out, or name another --home"
        )
    document = {"home": str(root), "store": stated.store, "format": f"{stated.major}.{stated.minor}", "digest": stated.algorithm}
    shell.answer({**document, "is_new": is_new}, f"{root}: {'a new store' if is_new else 'the store is there'}, {stated.algorithm} digests")
    return Exit.OK


def backup(
    shell: Shell,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that is not there yet.")],
) -> Exit:
    """Copy the catalogue while it is in use, complete and durable. Blobs never change: copy 'objects/' after it, with any tool.

    Examples:
      lineage backup ~/backup/catalog.sqlite
    """
    with shell.engine() as engine:
        copy(engine, file)
    size = file.stat().st_size
    shell.answer({"backup": str(file), "bytes": size}, f"{file}: the catalogue, {text.size(size)}; copy 'objects/' of the store after it")
    return Exit.OK
