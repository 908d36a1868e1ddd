"""The store as a whole: `init` makes one, `backup` copies what cannot simply be copied."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lineage.actions.backup import backup as copy
from lineage.actions.doctor import examine_place, examine_store
from lineage.cli import text
from lineage.cli.outcome import Exit
from lineage.cli.shell import Shell, table
from lineage.model.errors import Conflict
from storage.blob.home import Home
from storage.blob.probe import Weight
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
    """Copy the catalogue while it is in use, complete and durable. Blobs never change: copy 'objects/', or the place of --store, after it, with any tool.

    Examples:
      lineage backup ~/backup/catalog.sqlite
    """
    with shell.engine() as engine:
        copy(engine, file)
        where = "what is at " + engine.home.place if engine.home.format.location else "'objects/' of the store"
    size = file.stat().st_size
    shell.answer({"backup": str(file), "bytes": size}, f"{file}: the catalogue, {text.size(size)}; copy {where} after it")
    return Exit.OK


def doctor(
    shell: Shell,
    url: Annotated[str | None, typer.Argument(metavar="URL", help="A place to try, before it is made a store. Else this store.")] = None,
) -> Exit:
    """Tell how the store is, and what the place of its bytes really does: creates, checksums, parts, listings, versions.

    What is written to try that is removed again. Ends with exit code 1 when something is bad.

    Examples:
      lineage doctor
      lineage doctor s3://bucket/prefix
      lineage doctor --json
    """
    if url is not None:
        found = list(shell.waiting(url, examine_place(url, shell.settings.place)))
    else:
        with shell.engine() as engine:
            found = list(shell.waiting("examine", examine_store(engine)))
    is_well = all(each.weight is not Weight.BAD for each in found)
    document = {
        "ok": is_well,
        "findings": [{"subject": e.subject, "found": e.found, "weight": e.weight, "advice": e.advice} for e in found],
    }
    rows = [(e.weight, e.subject, f"{e.found}: {e.advice}" if e.advice else e.found) for e in found]
    shell.answer(document, table("", "what", "found", rows=rows))
    return Exit.OK if is_well else Exit.NO
