"""What stays and what goes. `expire` marks, `reclaim` frees, `verify` looks whether all that should be there still is, and right.

The first two show their plan with the reasons and carry it out when they are told to: by `--yes`, or by a person who is asked. A plan that
raises doubts (a clock that leapt, too many versions at once) wants more than `--yes`, which stands in scripts: it wants `--force`.
"""

from typing import Annotated, Any

import typer

from lineage.actions import expire as expiry
from lineage.actions import reclaim as freeing
from lineage.actions import verify as checking
from lineage.cli import record, text
from lineage.cli.option import Where
from lineage.cli.outcome import Exit
from lineage.cli.shell import Row, Shell, table
from lineage.model.errors import UsageError
from lineage.model.retention import Plan
from storage.upkeep.reclaim import EMPTY, Reclaimed, ReclaimPlan
from storage.upkeep.rewrite import REASON

Look = Annotated[bool, typer.Option("--plan", help="Show the plan and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Carry the plan out without asking.")]
Force = Annotated[bool, typer.Option("--force", help="With --yes: even if the plan raises doubts.")]


def expire(shell: Shell, path: Where = None, plan: Look = False, yes: Yes = False, force: Force = False) -> Exit:  # options
    """Show which versions are past their time and why, then mark them expired. Names and lineage stay; 'reclaim' frees the bytes.

    Without a project, the whole store. What is held, protected or in use is skipped, and said to be.

    Examples:
      lineage expire --plan
      lineage expire vision --yes
    """
    with shell.engine() as engine:
        everywhere = path is None and shell.settings.project is None
        found = expiry.plan_expiry(engine, None if everywhere else shell.project(path))
        document: dict[str, Any] = {"plan": record.plan(found), "carried_out": False, "expired": [], "skipped": []}
        if not found.lines:
            shell.answer(document, "nothing is past its time")
            return Exit.OK
        show_plan(shell, found)
        if not found.expiring or not _may(shell, f"expire {text.counted(len(found.expiring), 'version')}?", found.doubts, plan, yes, force):
            shell.answer(document)
            return Exit.OK if plan or not found.expiring else Exit.REFUSED
        done = expiry.expire(engine, found, confirmed=True)
    document |= {"carried_out": True, "expired": [record.line(each) for each in done.expired]}
    document |= {"skipped": [record.line(each) for each in done.skipped]}
    shell.answer(document, f"{text.counted(len(done.expired), 'version')} expired; 'lineage reclaim' frees what nobody else needs")
    return Exit.OK


def show_plan(shell: Shell, plan: Plan) -> None:
    """Every line of the plan with its reason, then what speaks against carrying it out."""
    rows: list[Row] = [(each.verdict, each.name, text.size(each.size), each.reason) for each in plan.lines]
    shell.show(table("plan", "version", ">size", "reason", rows=rows))
    for doubt in plan.doubts:
        shell.warn(doubt)


def _may(shell: Shell, question: str, doubts: tuple[str, ...], look: bool, yes: bool, force: bool) -> bool:  # options, handed on
    """May the plan be carried out? Says what is missing if not."""
    if look:
        return False
    if (yes and not doubts) or (yes and force):
        return True
    if shell.confirm(question):
        return True
    shell.say(
        "nothing was changed: " + ("the plan raises doubts, --yes --force carries it out" if doubts else "--yes carries the plan out")
    )
    return False


def reclaim(shell: Shell, plan: Look = False, yes: Yes = False, force: Force = False) -> Exit:  # options
    """Show how many bytes nothing needs any more and why, then free them.

    A small blob rests in a pack with others: its bytes are free on disk when the pack goes, or is worth rewriting. Both sums are told.
    A plan that leaves nothing in the store raises a doubt: is this the catalogue that belongs to these bytes?

    Examples:
      lineage reclaim --plan
      lineage reclaim --yes
    """
    with shell.engine() as engine:
        found = freeing.plan_reclaim(engine)
        document: dict[str, Any] = {"plan": _plan(found), "carried_out": False, "freed": None}
        if found.is_empty:
            shell.answer(document, "nothing to free: every blob is needed")
            return Exit.OK
        of_packs = (EMPTY, REASON)
        rows: list[Row] = [(text.counted(count, "pack" if why in of_packs else "blob"), why) for why, count in found.counts.items()]
        shell.show(
            table(">free", "reason", rows=rows),
            f"{text.size(found.bytes)} in {len(found.doomed):,} of {text.counted(found.records, 'blob')}; on disk {text.size(found.disk)} go"
            + _inside(found.inside),
        )
        doubts = ("nothing would be left: is this the right store?",) if found.takes_everything else ()
        for doubt in doubts:
            shell.warn(doubt)
        if not _may(shell, f"free {text.size(found.bytes)}?", doubts, plan, yes, force):
            shell.answer(document)
            return Exit.OK if plan else Exit.REFUSED
        with shell.progress("reclaim", found.bytes) as progress:
            done = freeing.reclaim(engine, found, progress, empty_ok=True)
    document |= {"carried_out": True, "freed": _freed(done)}
    spared = f"; {done.spared:,} are needed again and stayed" if done.spared else ""
    disk = f"; on disk {text.size(done.disk)} freed{_inside(done.inside)}"
    shell.answer(document, f"{text.counted(done.blobs, 'blob')} freed, {text.size(done.bytes)}{disk}{spared}")
    if done.unread:
        shell.warn(f"{text.counted(len(done.unread), 'blob')} could not be moved, rotten or lost: 'lineage verify' says which")
    return Exit.OK


def _inside(size: int) -> str:
    return f", {text.size(size)} of dead blobs stay inside packs" if size else ""


def _freed(done: Reclaimed) -> dict[str, Any]:
    counts = {"blobs": done.blobs, "bytes": done.bytes, "spared": done.spared, "packs": done.packs, "rewritten": done.rewritten}
    return {**counts, "disk": done.disk, "inside": done.inside, "unread": [str(digest) for digest in done.unread]}


def _plan(plan: ReclaimPlan) -> dict[str, Any]:
    sizes = {"bytes": plan.bytes, "disk": plan.disk, "inside": plan.inside}
    return {"blobs": len(plan.doomed), **sizes, "sparse": len(plan.sparse), "reasons": plan.counts, "records": plan.records}


def verify(
    shell: Shell,
    quick: Annotated[bool, typer.Option("--quick", help="Look at presence and size alone, and read no content.")] = False,  # an option
    deep: Annotated[bool, typer.Option("--deep", help="Compare every byte with the digest it is named by, too.")] = False,  # an option
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="First put back what the catalogue lost and a pack still holds.")
    ] = False,  # an option
) -> Exit:
    """Read everything that is stored and the catalogue, and say what is missing or wrong. Nothing is deleted.

    Ends with exit code 3 when there is damage. --quick and --deep exclude each other. With --rebuild every pack is asked what is in it,
    and what proves right and is lost is stored again.

    Examples:
      lineage verify
      lineage verify --quick
      lineage verify --deep --json
      lineage verify --rebuild
    """
    if quick and deep:
        raise UsageError("--quick looks at sizes alone and --deep at every byte: say one of them, or neither")
    with shell.engine() as engine, shell.progress("verify") as progress:
        put_back = checking.restore(engine).blobs if rebuild else 0
        checked = checking.verify(engine, quick=quick, deep=deep, progress=progress)
    found = checked.store
    document = {
        "ok": checked.ok,
        "put_back": put_back,
        "checked": found.checked,
        "bytes": found.bytes,
        "missing": [str(each.blob.digest) for each in found.missing],
        "corrupt": [str(each.blob.digest) for each in found.corrupt],
        "orphans": list(found.orphans),
        "catalogue": list(checked.catalog),
        "versions": [each.path for each in checked.versions],
    }
    rows: list[Row] = [("missing", each.blob.digest) for each in found.missing]
    rows += [("corrupt pack" if each.is_pack else "corrupt", each.blob.digest) for each in found.corrupt]
    rows += [("catalogue", problem) for problem in checked.catalog]
    rows += [("not whole", each.path) for each in checked.versions]
    orphans = f"; {text.counted(len(found.orphans), 'object')} without a record, left by a writer that was cut off" if found.orphans else ""
    verdict = "all is right" if checked.ok else "there is damage"
    again = f"; {text.counted(put_back, 'blob')} put back" if rebuild else ""
    told = f"{text.counted(found.checked, 'blob')}, {text.size(found.bytes)} checked: {verdict}{again}{orphans}"
    shell.answer(document, *([table("damage", "what", rows=rows)] if rows else []), told)
    return Exit.OK if checked.ok else Exit.DAMAGE
