"""What must be true of every store at every moment (`check`), and of one in which reclaim has just run (`cleaned`).

Numbers are those of the invariants in the fault catalogue. Nothing here trusts the code it checks more than it must: bytes are hashed
again, tables are read with SQL of our own, and the files on the disk are listed beside the rows that claim them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import networkx as nx

from lineage.actions import find, read, walk
from lineage.actions.open import Engine
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.catalog.open import Connection
from lineage.graph.export import to_networkx
from storage.blob.pack import Member, read_footer
from storage.digest import Blob, Digest
from storage.entry import Kind
from storage.layout import JOURNALS, OBJECTS, PACKS, STAGING, parse_blob_key, parse_pack_key
from storage.ledger import BlobRecord

Files = Mapping[str, bytes]


@dataclass
class Acknowledged:
    """What the engine promised: versions by order with their files, and tombstones."""

    live: dict[int, Files] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)


def check(engine: Engine, acknowledged: Acknowledged | None = None) -> None:
    """Return when every invariant holds; fail with the list of those that do not."""
    problems = [f"sqlite: {problem}" for problem in engine.catalog.problems()]
    with engine.catalog.read() as c:
        problems += [*_versions(c), *_aliases(c), *_numbers(c), *_edges(c)]
    problems += [*_content(engine), *_objects(engine), *_graph(engine), *_promises(engine, acknowledged or Acknowledged())]
    assert [] == problems


def cleaned(engine: Engine) -> None:
    """Reclaim, and then: nothing is left that nobody needs, everything that is needed is there (I-06, I-09, I-10)."""
    needed = _needed(engine)
    reclaim(engine, plan_reclaim(engine), empty_ok=True)
    assert [] == list(_leftovers(engine, needed))


def files_of(engine: Engine, order: int) -> dict[str, bytes]:
    """The files of a live version, each byte read through the store and hashed again."""
    version = find.version_by_id(engine, order)
    found = {}
    for entry in read.manifest(engine, version):
        if entry.kind is Kind.FILE and entry.digest is not None:
            data = b"".join(read.open_blob(engine, version, entry))
            assert (entry.digest, entry.size) == (Digest.of(data, entry.digest.algorithm), len(data)), f"{version.name}/{entry.path}"
            found[entry.path] = data
    return found


_VISIBLE = {
    "project": "SELECT entity_id, name, visibility, ttl_inherit, ttl_seconds FROM project",
    "collection": "SELECT project_id, name, type, deleted_at IS NULL FROM collection",
    "version": "SELECT collection_id, number, digest, size, entries, state, metadata, ttl_seconds, is_held FROM version",
    "alias": "SELECT alias.collection_id, name, number FROM alias JOIN version ON version.id = alias.version_id",
    "tag": "SELECT version_id, name FROM version_tag",
    "link": "SELECT collection_id, number, version_id FROM link",
    "run": "SELECT project_id, name, state, exit_code, CASE state WHEN 'finished' THEN step END, config, deleted_at IS NULL FROM run",
    "summary": "SELECT run_id, key, value FROM summary",
    "used": "SELECT run.name, version.collection_id, version.number, role FROM used JOIN run ON run.id = run_id JOIN version ON version.id = version_id",
    "logged": "SELECT run.name, version.collection_id, version.number, is_maker FROM logged "
    "JOIN run ON run.id = run_id JOIN version ON version.id = version_id",
}


def visible(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Everything a user could see of the store, instants and counters aside: equal before and after means that nothing happened."""
    with engine.catalog.read() as c:
        seen = {name: sorted(map(tuple, c.execute(text)), key=repr) for name, text in _VISIBLE.items()}
        live = [row[0] for row in c.execute("SELECT id FROM version WHERE state = 'live' AND manifest_id IS NOT NULL ORDER BY id")]
        runs = [row[0] for row in c.execute("SELECT id FROM run ORDER BY id")]
    seen["content"] = [tuple(sorted(files_of(engine, order).items())) for order in live]
    seen["history"] = [(run, [(row.step, dict(row.values)) for row in find.history(engine, run)]) for run in runs]
    return seen


def dump(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with engine.catalog.read() as c:
        names = [row[0] for row in c.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {name: sorted(map(tuple, c.execute(f'SELECT * FROM "{name}"')), key=repr) for name in names}


def listing(root: Path) -> list[tuple[str, int]]:
    """Every path below a store and its size, the catalogue's own files and directories of objects aside: those may stay empty."""
    found = [path for path in root.rglob("*") if not path.name.startswith("catalog.sqlite")]
    shown = [path for path in found if path.is_file() or OBJECTS not in path.parts]
    return sorted((str(path.relative_to(root)), path.stat().st_size if path.is_file() else -1) for path in shown)


# ── each invariant ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _content(engine: Engine) -> Iterator[str]:
    """I-01, I-02, I-04, I-17: a live version is complete: manifest, segments, blobs and what the catalogue knows of them."""
    with engine.catalog.read() as c:
        rows = c.execute("SELECT id, digest, size, entries FROM version WHERE state = 'live' AND manifest_id IS NOT NULL").fetchall()
        listed = _listed_segments(c)
    for order, digest, size, entries in rows:
        manifest = read.manifest(engine, find.version_by_id(engine, order))
        if (digest, size, entries) != (str(manifest.digest), manifest.size, len(manifest)):
            yield f"I-17: version {order} says {digest}, {size}, {entries}, its manifest says otherwise"
        if [str(segment.digest) for segment in manifest.segments] != [name for name, _ in listed[order]]:
            yield f"I-01: the catalogue lists other segments of version {order} than its manifest"
        blobs = {str(entry.digest) for entry in manifest if entry.digest is not None}
        if blobs != {name for _, names in listed[order] for name in names}:
            yield f"I-01: the catalogue lists other blobs of version {order} than its segments"
        if sum(map(len, files_of(engine, order).values())) != size:
            yield f"I-02: version {order} holds other bytes than its size says"


def _listed_segments(c: Connection) -> dict[int, list[tuple[str, set[str]]]]:
    found: dict[int, list[tuple[str, set[str]]]] = defaultdict(list)
    rows = c.execute(
        "SELECT version_id, segment_id, blob.digest FROM version_segment JOIN segment ON segment.id = segment_id "
        "JOIN blob ON blob.id = segment.blob_id ORDER BY version_id, position"
    ).fetchall()
    for version_id, segment_id, digest in rows:
        names = c.execute("SELECT digest FROM segment_blob JOIN blob ON blob.id = blob_id WHERE segment_id = ?", (segment_id,))
        found[version_id].append((digest, {row[0] for row in names}))
    return found


def _versions(c: Connection) -> Iterator[str]:
    """I-01, I-11: live versions rest on live blobs only, tombstones hold nothing."""
    half = c.execute(
        "SELECT version_segment.version_id, blob.digest FROM version_segment JOIN segment ON segment.id = version_segment.segment_id "
        "LEFT JOIN segment_blob ON segment_blob.segment_id = segment.id JOIN blob ON blob.id IN (segment.blob_id, segment_blob.blob_id) "
        "WHERE blob.state <> 'live'"
    )
    yield from (f"I-01: version {row[0]} rests on {row[1]}, which is not live" for row in half)
    held = c.execute(
        "SELECT version.id FROM version WHERE state <> 'live' AND (EXISTS (SELECT 1 FROM version_segment WHERE version_id = version.id) "
        "OR EXISTS (SELECT 1 FROM alias WHERE version_id = version.id) OR ended_at IS NULL OR reason IS NULL)"
    )
    yield from (f"I-11: tombstone {row[0]} still holds content or an alias, or does not say when and why it ended" for row in held)


def _aliases(c: Connection) -> Iterator[str]:
    """I-14: an alias stands on a live version that its own collection shows."""
    rows = c.execute(
        "SELECT alias.collection_id, alias.name, alias.version_id FROM alias WHERE NOT EXISTS (SELECT 1 FROM member "
        "JOIN version ON version.id = member.version_id AND version.state = 'live' "
        "WHERE member.collection_id = alias.collection_id AND member.version_id = alias.version_id)"
    )
    yield from (f"I-14: alias {row[1]} of collection {row[0]} stands on version {row[2]}, which is not live there" for row in rows)


def _numbers(c: Connection) -> Iterator[str]:
    """I-16: in each collection numbers rise with the order, none is given twice, none is ahead of the counter."""
    given: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in c.execute("SELECT collection_id, id, number FROM version UNION ALL SELECT collection_id, logged, number FROM link"):
        given[row[0]].append((row[1], row[2]))
    limits = dict(c.execute("SELECT id, next_number FROM collection").fetchall())
    for collection, pairs in given.items():
        numbers = [number for _, number in sorted(pairs)]
        if numbers != sorted(set(numbers)) or (numbers and numbers[-1] >= limits[collection]):
            yield f"I-16: collection {collection} gave the numbers {numbers} in this order, and goes on with {limits[collection]}"


def _edges(c: Connection) -> Iterator[str]:
    """I-18, I-20: no edge dangles, none is there twice, a version has one maker at most."""
    for table in ("used", "logged"):
        rows = c.execute(
            f"SELECT run_id, version_id FROM {table} WHERE run_id NOT IN (SELECT id FROM run) OR version_id NOT IN (SELECT id FROM version)"
        )
        yield from (f"I-18: an edge of {table} between run {row[0]} and version {row[1]} dangles" for row in rows)
    makers = Counter(row[0] for row in c.execute("SELECT version_id FROM logged WHERE is_maker = 1"))
    yield from (f"I-20: version {version} has {count} makers" for version, count in makers.items() if count > 1)


def _graph(engine: Engine) -> Iterator[str]:
    """I-19: what is exported is bipartite and acyclic."""
    graph = to_networkx(walk.graph(engine))
    if not nx.is_directed_acyclic_graph(graph):
        yield f"I-19: the graph has a cycle: {nx.find_cycle(graph)}"
    sides = nx.get_node_attributes(graph, "bipartite")
    yield from (f"I-19: {one} and {other} are of one kind" for one, other in graph.edges if sides[one] == sides[other])


def _objects(engine: Engine) -> Iterator[str]:
    """I-10: every live row has its object with the right size; every object has a row, or its row has a newer generation."""
    objects = dict(engine.home.backend.keys())
    records, packs = list(engine.ledger.records()), list(engine.ledger.packs())
    for row in (*records, *packs):
        if row.state == "live" and (row.key not in objects or not row.fits(objects[row.key])):
            yield f"I-10: {row.blob.digest} is live, and its object {row.key} has {objects.get(row.key)} bytes"
    rows = {_parsed(row.resting(None).key)[:-1]: row for row in (*records, *packs)}
    for key in objects:
        *name, generation = _parsed(key)
        found = rows.get(tuple(name))
        if found is None or found.generation < generation:
            yield f"I-10: an object {key} has no row"
    yield from _packs(engine, [row for row in records if row.pack is not None and row.state == "live"], packs)


def _packs(engine: Engine, members: list[BlobRecord], packs: list[BlobRecord]) -> Iterator[str]:
    """I-10: what rests in a pack rests in one that is live, and the pack says so itself; every pack holds what its name says."""
    held: dict[str, set[Member]] = defaultdict(set)
    for row in members:
        held[row.key].add(Member(row.blob, row.start))
    live = {pack.key: pack for pack in packs if pack.state == "live"}
    yield from (f"I-10: blobs rest in {key}, which is no live pack" for key in held.keys() - live.keys())
    for key in held.keys() & live.keys():
        data = b"".join(engine.home.backend.read(key))
        if live[key].blob != Blob.of(data, live[key].blob.digest.algorithm):
            yield f"I-02: the pack {key} holds other bytes than its name says"
        if not held[key] <= set(read_footer(lambda start, length, data=data: data[start : start + length], len(data))):  # type: ignore[misc]
            yield f"I-10: the pack {key} does not say itself what the catalogue says is in it"


def _promises(engine: Engine, acknowledged: Acknowledged) -> Iterator[str]:
    """I-03: what was acknowledged is there."""
    for order, files in acknowledged.live.items():
        if dict(files) != files_of(engine, order):
            yield f"I-03: version {order} was acknowledged with {sorted(files)}"
    yield from (
        f"I-03: version {order} was acknowledged as gone" for order in acknowledged.gone if find.version_by_id(engine, order).is_live
    )


def _needed(engine: Engine) -> set[tuple[str, str]]:
    """Domain and digest of what live versions and histories rest on, found by reading manifests."""
    with engine.catalog.read() as c:
        live = [row[0] for row in c.execute("SELECT id FROM version WHERE state = 'live' AND manifest_id IS NOT NULL")]
        needed = {(row[0], row[1]) for row in c.execute("SELECT domain, digest FROM run_history JOIN blob ON blob.id = blob_id")}
    for order in live:
        version = find.version_by_id(engine, order)
        manifest = read.manifest(engine, version)
        digests = {
            manifest.digest,
            *(segment.digest for segment in manifest.segments),
            *(entry.digest for entry in manifest if entry.digest),
        }
        needed |= {(version.domain, str(digest)) for digest in digests}
    return needed


def _leftovers(engine: Engine, needed: set[tuple[str, str]]) -> Iterator[str]:
    rows = {(row.domain, str(row.blob.digest)): row for row in engine.ledger.records()}
    yield from (f"I-06: {digest} is needed and went" for digest in needed - rows.keys())
    yield from (f"I-09: the row of {digest} stays, and nobody needs it" for digest in rows.keys() - needed)
    yield from (f"I-09: {digest} is {row.state}" for digest, row in rows.items() if row.state != "live")
    known, packs = {row.key for row in rows.values()}, list(engine.ledger.packs())
    yield from (f"I-09: the object {key} stays, and nobody needs it" for key, _ in list(engine.home.backend.keys()) if key not in known)
    yield from (
        f"I-09: the row of the pack {pack.key} stays, {pack.state}" for pack in packs if pack.key not in known or pack.state != "live"
    )
    with engine.catalog.read() as c:
        for table in ("session", "pin"):
            if count := c.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:
                yield f"I-09: {count} rows of {table} stay"
        used = {row[0] for row in c.execute("SELECT blob_id FROM segment")}
        kept = {row[0] for row in c.execute("SELECT DISTINCT segment.blob_id FROM version_segment JOIN segment ON segment.id = segment_id")}
        sealed = {
            row[0]
            for row in c.execute("SELECT id FROM run WHERE state NOT IN ('running', 'preempting', 'pending') OR deleted_at IS NOT NULL")
        }
    if used - kept:
        yield f"I-09: {len(used - kept)} segments stay, and no version has them"
    root = engine.home.root
    yield from (f"I-09: {path} is left" for path in (root / STAGING).rglob("*"))
    yield from (f"I-09: {path} is left" for path in root.glob(".*"))
    yield from (f"I-09: {path} is left of a run that ended" for path in (root / JOURNALS).glob("*") if int(path.stem) in sealed)


def _parsed(key: str) -> tuple[Any, ...]:
    """Kind, domain, digest and generation of an object's key."""
    if f"/{PACKS}/" in key:
        return ("pack", *parse_pack_key(key))
    return ("blob", *parse_blob_key(key))
