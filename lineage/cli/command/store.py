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
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="Where its bytes rest, once and for all. Else LINEAGE_STORE, else the directory."),
    ] = None,
    adopt: Annotated[
        str | None, typer.Option("--adopt", metavar="STORE", help="Take the bytes over from this store, which is gone for good.")
    ] = None,
) -> Exit:
    """Make the store, where there is none yet. The first 'put' and the first run of a program make it too.

    Examples:
      lineage init
      lineage init --home ~/store --digest sha256
      lineage init --store s3://bucket/prefix
    """
    if store is not None:
        shell.settings.store = store
    is_new = Home.open(shell.settings.place) is None
    with shell.engine(create=True, algorithm=digest or DEFAULT_ALGORITHM, adopt=adopt) as engine:
        root, stated, place = engine.home.root, engine.home.format, engine.home.place
    if digest not in (None, stated.algorithm):
        raise Conflict(
            f"the store in {root} was made with {stated.algorithm} digests and keeps them: leave --digest out, or name another --home"
        )
    document = {"home": str(root), "store": stated.store, "format": f"{stated.major}.{stated.minor}", "digest": stated.algorithm}
    there = f", bytes at {place}" if stated.location else ""
    said = f"{root}: {'a new store' if is_new else 'the store is there'}, {stated.algorithm} digests{there}"
    shell.answer({**document, "bytes_at": place, "is_new": is_new}, said)
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
