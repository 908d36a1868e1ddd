"""From the store into a working tree: what a manifest says is what stands there afterwards, or an error says why not.

    survey      what the manifest asks for, under the prefix, and what stands in its places; refused is everything, before anything is written
    land        each file whole and verified under a temporary name beside its place, then renamed
    remove      what the manifest does not know, when the tree must be exact

A name is judged when a manifest is decoded, again here, and by the way files are opened (`Destination`): three checks that do not rely
on each other. A file whose content is right already is left alone: by its full digest, or because the tree's memory knows that it has not
changed since somebody read it; one that differs is replaced whole. What lands is remembered, so the next checkout costs one look a file.
Files are copies: nothing in the tree shares an inode with the store. Without `exact` nothing is ever removed but what a checkout that died
had left on its way; the next one finishes what that one began.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from storage.blob.store import Store
from storage.entry import Entry
from storage.manifest import Manifest
from storage.transfer.claim import is_dead, owner_of
from storage.transfer.destination import Destination, folds_case
from storage.transfer.landing import Fetch, Landing
from storage.transfer.selection import Selection
from storage.transfer.statcache import Memory, StatCache
from storage.transfer.survey import Standing, Survey

_NOTHING = "\0"
"""No path begins so: what a checkout did not look at is remembered as it was."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a checkout did: entries written and kept, references skipped because they are gone, extra files removed, bytes written."""

    written: int = 0
    kept: int = 0
    skipped: tuple[str, ...] = ()
    removed: int = 0
    bytes: int = 0


def checkout(
    manifest: Manifest,
    store: Store,
    destination: Path,
    *,
    prefix: str | None = None,
    exact: bool = False,
    fetch: Fetch | None = None,
    allow_missing_references: bool = False,
    memory: Memory | None = None,
    progress: Callable[[int], None] | None = None,
    probe: Callable[[Path], bool] = folds_case,
) -> Report:
    """Make `destination` hold what `manifest` says, and report what that took.

    `prefix` selects the entries whose path begins with that text, wherever it ends. With `exact` what the manifest does not know is
    removed, below the prefix, control directories excepted. `fetch` gets the bytes of references. `memory` is what is known of the tree at
    `destination`, recalled just now. `progress` is told bytes as they are written or found right.

    Raises:
        DestinationRefused, InvalidPath, InvalidManifest: it cannot be done as asked; nothing was written.
        BlobMissing, Corrupt: the store does not have the right bytes of the files listed; all others stand, no part of one does.
        ReferenceMissing, ReferenceChanged: what a reference pins is gone; with `allow_missing_references` what is missing is skipped.
        StoreFull, ReadOnlyStore: the destination cannot take it.
    """
    entries = Selection(manifest, prefix or "")
    memory = memory or StatCache().recall(destination, store.domain)
    with Destination(destination) as tree:
        survey = Survey(tree, memory)
        survey.look_at(entries)
        survey.refuse(entries, probe)
        tree.trim()
        tree.create()

        work = Landing(store, tree, memory, fetch=fetch, may_skip=allow_missing_references, progress=progress)
        try:
            for path, name in survey.leftovers:
                tree.remove(f"{path}/{name}" if path else name, is_directory=False)
            work.keep(survey.standings.count(Standing.RIGHT), survey.right)
            if survey.standings.strip(bytes([Standing.RIGHT])):
                standings = map(Standing, survey.standings)
                work.land((entry, standing) for entry, standing in zip(entries, standings, strict=True) if standing is not Standing.RIGHT)
        finally:
            memory.keep(_NOTHING)
        work.finish()

        removed = _remove_extra(entries, tree, prefix or "") if exact else 0
    return Report(work.written, work.kept, tuple(work.skipped), removed, work.bytes)


def _remove_extra(entries: Iterable[Entry], tree: Destination, prefix: str) -> int:
    wanted: set[str] = set()
    for entry in entries:
        path = entry.path
        while path and path not in wanted:
            wanted.add(path)
            path = path.rpartition("/")[0]
    root = tree.directory("")
    removed = 0
    for path, is_directory in tree.walk():
        owner = owner_of(path.rpartition("/")[2])
        if path in wanted or not path.startswith(prefix) or (owner is not None and root is not None and not is_dead(owner, root)):
            continue
        tree.remove(path, is_directory=is_directory)
        removed += not is_directory
    return removed
