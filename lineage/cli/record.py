"""Records as JSON documents. Keys are part of the interface: they are added to, never renamed and never dropped.

Times are ISO 8601 in UTC, sizes are bytes, absent values are null. Not-a-number and infinities are written as text.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lineage.actions.jobs import JobRecord
from lineage.cli import text
from lineage.model.artifact import AliasEvent, CollectionRecord, VersionRecord
from lineage.model.comparison import ABSENT, Comparison, Differing, Exchanged
from lineage.model.project import ProjectRecord
from lineage.model.retention import Line, Plan
from lineage.model.run import RunRecord
from lineage.model.standing import Finding
from storage.difference import Change
from storage.entry import Entry

Document = dict[str, Any]


def project(found: ProjectRecord) -> Document:
    return {
        "path": found.path,
        "entity": found.entity,
        "project": found.name,
        "visibility": str(found.visibility),
        "ttl": text.ttl(found.policy),
        "created_at": text.stamp(found.created_at),
        "description": found.description,
    }


def collection(found: CollectionRecord) -> Document:
    return {
        "path": found.path,
        "name": found.name,
        "type": found.type,
        "versions": found.versions,
        "description": found.description,
        "tags": list(found.tags),
        "created_at": text.stamp(found.created_at),
    }


def version(found: VersionRecord) -> Document:
    return {
        "path": found.path,
        "name": found.collection,
        "version": f"v{found.number}",
        "type": found.type,
        "state": str(found.state),
        "digest": found.digest,
        "size": found.size,
        "entries": found.entries,
        "aliases": list(found.aliases),
        "tags": list(found.tags),
        "description": found.description,
        "metadata": dict(found.metadata),
        "created_at": text.stamp(found.created_at),
        "ttl": text.ttl(found.policy),
        "expires_at": text.stamp(found.expires_at),
        "is_held": found.is_held,
        "is_recorded": found.is_recorded,
        "ended_at": text.stamp(found.ended_at),
        "reason": found.reason,
    }


def alias(found: AliasEvent) -> Document:
    return {"alias": found.alias, "version": found.version, "at": text.stamp(found.at)}


def entry(found: Entry) -> Document:
    pin = found.pin
    return {
        "path": found.path,
        "kind": str(found.kind),
        "digest": None if found.digest is None else str(found.digest),
        "size": found.size,
        "executable": found.executable,
        "target": found.target,
        "uri": None if pin is None else pin.uri,
        "extra": found.extra,
        "is_verified": None if pin is None else pin.is_verified,
    }


def finding(found: Finding) -> Document:
    return {
        "artifact": found.artifact,
        "path": found.path,
        "uri": found.uri,
        "state": found.state,
        "first_seen": text.stamp(found.first_seen),
        "last_seen": text.stamp(found.last_seen),
        "last_ok": text.stamp(found.last_ok),
    }


def comparison(found: Comparison) -> Document:
    tally = found.tally
    return {
        "before": version(found.before.version),
        "after": version(found.after.version),
        "same": not found,
        "content": None if tally is None else asdict(tally),
        "reason": found.reason or None,
        "makers": [None if side.maker is None else side.maker.path for side in (found.before, found.after)],
        "inputs": [exchanged(each) for each in found.inputs],
        "code": [exchanged(each) for each in found.code],
        **{name: [differing(each) for each in getattr(found, name)] for name in ("config", "metadata", "summary", "facts")},
    }


def exchanged(found: Exchanged) -> Document:
    sides = {name: [each.path for each in side] for name, side in (("before", found.before), ("after", found.after))}
    return {"artifact": found.collection, "role": found.role, **sides}


def differing(found: Differing) -> Document:
    """A side without the key has no value: its name is left out."""
    sides = {"before": found.before, "after": found.after}
    return {"key": found.key, **{name: value for name, value in sides.items() if value is not ABSENT}}


def change(found: Change) -> Document:
    sides = {"before": found.before, "after": found.after}
    stated = {name: None if side is None else entry(side) for name, side in sides.items()}
    return {"path": found.path, "what": str(found.what), "aspects": list(found.aspects), **stated}


def run(found: RunRecord, summary: Mapping[str, Any] | None = None) -> Document:
    stated = {
        "path": found.path,
        "id": found.name,
        "name": found.display_name,
        "state": str(found.state),
        "job_type": found.job_type,
        "group": found.group,
        "sweep": found.sweep,
        "notes": found.notes,
        "tags": list(found.tags),
        "config": dict(found.config),
        "steps": found.step,
        "created_at": text.stamp(found.created_at),
        "finished_at": text.stamp(found.finished_at),
        "exit_code": found.exit_code,
        "deleted_at": text.stamp(found.deleted_at),
    }
    return stated if summary is None else {**stated, "summary": dict(summary)}


def line(found: Line) -> Document:
    return {"path": found.name, "size": found.size, "verdict": str(found.verdict), "reason": found.reason}


def plan(found: Plan) -> Document:
    return {"now": text.stamp(found.now), "lines": [line(each) for each in found.lines], "doubts": list(found.doubts), "size": found.size}


def job(found: JobRecord) -> Document:
    return {
        "name": found.name,
        "does": found.does,
        "every_seconds": int(found.every.total_seconds()),
        "last_started": text.stamp(found.last_started),
        "last_finished": text.stamp(found.last_finished),
        "last_result": found.last_result,
        "last_reason": found.last_reason,
        "next_due": text.stamp(found.next_due),
        "leased_by": found.leased_by,
        "is_on": found.is_on,
    }
