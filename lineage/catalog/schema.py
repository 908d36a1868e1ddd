"""The tables, drawn and made, one migration after the other; `VERSION` counts them.

    entity ─┬─ project ─┬─ collection ─┬─ version ──┬─ version_segment ── segment ── segment_blob ─┐
            │           │              ├─ alias     ├─ version_tag                                ├─ blob ── pin ── session
            │           │              └─ link      └─ (manifest) ────────────────────────────────┤
            │           ├─ run ─┬─ used, logged ── version                                        │
            │           │       ├─ summary, run_tag                                               │
            │           │       └─ run_history ───────────────────────────────────────────────────┘
            │           ├─ sweep ── run
            │           └─ type_policy, protected_alias
            └─ …       collection ── collection_tag, alias_event       version ── idempotency       counter, job
                       segment ── read_segment, segment_reference ── reference

A blob's `pack_id` is the row of the pack it rests in, `start` its place there. A pin on a pack holds all that rests in it; a pin's own
`pack_id` and `start` are where its session packed a blob that rested elsewhere already, which a commit may make the blob's (the pack has a
pin of its own, so that one needs no reference). A file may be stored whose bytes are those of a pack: `is_pack` keeps the two rows apart. A
segment is doubted while bytes it lists were found wrong or missing: logging its content again takes nothing on trust then.

A `reference` is one pinned object, whatever entries it stands in, and how it stood when it was last looked at; `segment_reference` says in
which entries. Both are filled when references are checked, segment by segment: `read_segment` has those that were looked through.

Besides these sqlite-utils keeps its own table of migrations.

A version's `id` is its order: drawn from `counter`, in commit order, so `used.version_id < version.id` is the dependency rule of
`model/edge.py`. `latest` is no row: it is the live version of a collection with the largest `logged`.

Written in the dialect SQLite and PostgreSQL share. A migration that has been released is never edited.
"""

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

TABLES = """
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('order', 0), ('high_water', 0);

CREATE TABLE entity (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL CHECK (kind IN ('user', 'team')), created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE project (
  id INTEGER PRIMARY KEY, entity_id INTEGER NOT NULL REFERENCES entity, name TEXT NOT NULL,
  visibility TEXT NOT NULL CHECK (visibility IN ('private', 'public', 'open')), domain TEXT NOT NULL, description TEXT,
  ttl_inherit INTEGER NOT NULL DEFAULT 1, ttl_seconds INTEGER, created_at INTEGER NOT NULL, UNIQUE (entity_id, name)
) STRICT;
CREATE TABLE type_policy (
  project_id INTEGER NOT NULL REFERENCES project, type TEXT NOT NULL, ttl_inherit INTEGER NOT NULL, ttl_seconds INTEGER,
  PRIMARY KEY (project_id, type)
) STRICT, WITHOUT ROWID;
CREATE TABLE protected_alias (project_id INTEGER NOT NULL REFERENCES project, name TEXT NOT NULL, PRIMARY KEY (project_id, name)) STRICT, WITHOUT ROWID;

CREATE TABLE sweep (
  id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL REFERENCES project, name TEXT NOT NULL, config TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('PENDING', 'RUNNING', 'PAUSED', 'FINISHED', 'CANCELED')),
  handed_out INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, UNIQUE (project_id, name)
) STRICT;

CREATE TABLE run (
  id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL REFERENCES project, name TEXT NOT NULL, display_name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'finished', 'failed', 'crashed', 'killed', 'preempting', 'preempted')),
  job_type TEXT, group_name TEXT, notes TEXT, config TEXT NOT NULL DEFAULT '{}', sweep_id INTEGER REFERENCES sweep,
  step INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, heartbeat_at INTEGER, finished_at INTEGER, exit_code INTEGER,
  deleted_at INTEGER, owner TEXT, UNIQUE (project_id, name)
) STRICT;
CREATE INDEX run_created ON run (project_id, created_at, id);
CREATE INDEX run_sweep ON run (sweep_id, id) WHERE sweep_id IS NOT NULL;
CREATE TABLE run_tag (run_id INTEGER NOT NULL REFERENCES run, name TEXT NOT NULL, PRIMARY KEY (run_id, name)) STRICT, WITHOUT ROWID;

CREATE TABLE summary (
  run_id INTEGER NOT NULL REFERENCES run, key TEXT NOT NULL, number REAL, value TEXT NOT NULL, PRIMARY KEY (run_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX summary_number ON summary (key, number, run_id);

CREATE TABLE blob (
  id INTEGER PRIMARY KEY, domain TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, checksum TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('uploading', 'live', 'deleting')), generation INTEGER NOT NULL DEFAULT 0,
  is_pack INTEGER NOT NULL DEFAULT 0, pack_id INTEGER REFERENCES blob, start INTEGER, UNIQUE (domain, digest, is_pack)
) STRICT;
CREATE INDEX blob_in_pack ON blob (pack_id) WHERE pack_id IS NOT NULL;
CREATE TABLE segment (
  id INTEGER PRIMARY KEY, blob_id INTEGER NOT NULL UNIQUE REFERENCES blob, entries INTEGER NOT NULL, size INTEGER NOT NULL,
  is_doubted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE segment_blob (
  segment_id INTEGER NOT NULL REFERENCES segment, blob_id INTEGER NOT NULL REFERENCES blob, PRIMARY KEY (segment_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX segment_of_blob ON segment_blob (blob_id, segment_id);
CREATE TABLE run_history (
  run_id INTEGER NOT NULL REFERENCES run, position INTEGER NOT NULL, blob_id INTEGER NOT NULL REFERENCES blob, PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_history_blob ON run_history (blob_id);

CREATE TABLE collection (
  id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL REFERENCES project, name TEXT NOT NULL, type TEXT NOT NULL, description TEXT,
  next_number INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, deleted_at INTEGER, UNIQUE (project_id, name)
) STRICT;
CREATE TABLE collection_tag (
  collection_id INTEGER NOT NULL REFERENCES collection, name TEXT NOT NULL, PRIMARY KEY (collection_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE version (
  id INTEGER PRIMARY KEY, collection_id INTEGER NOT NULL REFERENCES collection, number INTEGER NOT NULL, digest TEXT NOT NULL,
  size INTEGER NOT NULL, entries INTEGER NOT NULL, manifest_id INTEGER REFERENCES blob,
  state TEXT NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'expired', 'deleted')),
  description TEXT, metadata TEXT NOT NULL DEFAULT '{}', ttl_inherit INTEGER NOT NULL DEFAULT 1, ttl_seconds INTEGER,
  is_held INTEGER NOT NULL DEFAULT 0, history_step INTEGER, logged INTEGER NOT NULL,
  created_at INTEGER NOT NULL, ended_at INTEGER, reason TEXT, UNIQUE (collection_id, number)
) STRICT;
CREATE INDEX version_logged ON version (collection_id, logged) WHERE state = 'live';
CREATE INDEX version_digest ON version (collection_id, digest);
CREATE INDEX version_manifest ON version (manifest_id);
CREATE TABLE version_tag (
  version_id INTEGER NOT NULL REFERENCES version, name TEXT NOT NULL, PRIMARY KEY (version_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE version_segment (
  version_id INTEGER NOT NULL REFERENCES version, position INTEGER NOT NULL, segment_id INTEGER NOT NULL REFERENCES segment,
  PRIMARY KEY (version_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_of_segment ON version_segment (segment_id, version_id);

CREATE TABLE link (
  collection_id INTEGER NOT NULL REFERENCES collection, number INTEGER NOT NULL, version_id INTEGER NOT NULL REFERENCES version,
  logged INTEGER NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (collection_id, number), UNIQUE (collection_id, version_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_version ON link (version_id);
CREATE INDEX link_logged ON link (collection_id, logged);
CREATE VIEW member AS
  SELECT collection_id, number, id AS version_id, logged, 0 AS is_link FROM version
  UNION ALL SELECT collection_id, number, version_id, logged, 1 FROM link;
CREATE TABLE alias (
  collection_id INTEGER NOT NULL REFERENCES collection, name TEXT NOT NULL, version_id INTEGER NOT NULL REFERENCES version,
  PRIMARY KEY (collection_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_version ON alias (version_id);
CREATE TABLE alias_event (
  id INTEGER PRIMARY KEY, collection_id INTEGER NOT NULL REFERENCES collection, name TEXT NOT NULL,
  version_id INTEGER REFERENCES version, at INTEGER NOT NULL
) STRICT;
CREATE INDEX alias_event_collection ON alias_event (collection_id, id);

CREATE TABLE logged (
  run_id INTEGER NOT NULL REFERENCES run, version_id INTEGER NOT NULL REFERENCES version, is_maker INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (run_id, version_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX maker ON logged (version_id, run_id) WHERE is_maker = 1;
CREATE INDEX logged_by ON logged (version_id, run_id);
CREATE TABLE used (
  run_id INTEGER NOT NULL REFERENCES run, version_id INTEGER NOT NULL REFERENCES version, role TEXT NOT NULL DEFAULT '',
  after INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (run_id, version_id, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX used_by ON used (version_id, run_id);

CREATE TABLE session (id TEXT PRIMARY KEY, owner TEXT NOT NULL, opened_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE pin (
  session_id TEXT NOT NULL REFERENCES session, blob_id INTEGER NOT NULL REFERENCES blob, pack_id INTEGER, start INTEGER,
  PRIMARY KEY (session_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pin_blob ON pin (blob_id);
CREATE TABLE idempotency (key TEXT PRIMARY KEY, version_id INTEGER NOT NULL REFERENCES version, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE reference (
  id INTEGER PRIMARY KEY, uri TEXT NOT NULL, pin TEXT NOT NULL,
  state TEXT CHECK (state IN ('ok', 'drifted', 'missing', 'unpinned', 'unverifiable')),
  since INTEGER, seen_at INTEGER, ok_at INTEGER, UNIQUE (uri, pin)
) STRICT;
CREATE INDEX reference_astray ON reference (id) WHERE state IN ('drifted', 'missing');
CREATE TABLE read_segment (segment_id INTEGER PRIMARY KEY REFERENCES segment ON DELETE CASCADE) STRICT;
CREATE TABLE segment_reference (
  segment_id INTEGER NOT NULL REFERENCES segment ON DELETE CASCADE, path TEXT NOT NULL, reference_id INTEGER NOT NULL REFERENCES reference,
  PRIMARY KEY (segment_id, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX segment_of_reference ON segment_reference (reference_id, segment_id);

CREATE TABLE job (
  name TEXT PRIMARY KEY, leased_by TEXT, leased_until INTEGER, started_at INTEGER, finished_at INTEGER, result TEXT, reason TEXT,
  is_on INTEGER, every_seconds INTEGER
) STRICT, WITHOUT ROWID;
"""


def m001_the_whole_main_job(db: "Database") -> None:
    """Everything the embedded engine remembers."""
    for statement in TABLES.split(";\n"):
        if statement.strip():
            db.conn.execute(statement)


STEPS = (m001_the_whole_main_job,)
VERSION = len(STEPS)


def version(connection: sqlite3.Connection) -> int:
    """Migrations the database has seen; 0 for a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Apply what is missing. The caller holds the lock and an immediate transaction, so it happens once, whole or not at all."""
    from sqlite_utils import Database, Migrations  # imports pandas where that is installed: only a migration is worth the wait

    migrations = Migrations("lineage")
    for step in STEPS:
        migrations()(step)
    migrations.apply(Database(connection, execute_plugins=False))
    connection.execute(f"PRAGMA user_version = {VERSION}")
