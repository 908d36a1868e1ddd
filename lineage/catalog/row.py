"""A row about a blob or a pack, read with `SELECT`, as the ledger's word on it."""

from functools import lru_cache
from typing import Any

from lineage.catalog.column import Row
from storage.digest import Blob, Digest
from storage.ledger import BlobRecord, BlobState

COLUMNS = "{0}.id, {0}.domain, {0}.digest, {0}.size, {0}.checksum, {0}.state, {0}.generation, {0}.is_pack, {0}.pack_id, {0}.start, "
SELECT = (
    f"SELECT {COLUMNS.format('blob')}pack.digest AS pack_digest, pack.generation AS pack_generation, pack.size AS pack_size "
    "FROM blob LEFT JOIN blob AS pack ON pack.id = blob.pack_id "
)

_pack_digest = lru_cache(maxsize=1024)(Digest.parse)
"""Thousands of rows name the same few packs."""

_STATES = {state.value: state for state in BlobState}


def record_of(row: Row | tuple[Any, ...], digest: Digest | None = None) -> BlobRecord:
    """What a row of `SELECT` says; the `digest`, where it is known, need not be parsed."""
    _, domain, text, size, checksum, state, generation, is_pack, _, start, pack, pack_generation, pack_size = row
    blob = Blob(digest or Digest.parse(text), size, checksum)
    if pack is None:
        return BlobRecord(domain, blob, _STATES[state], generation, is_pack=bool(is_pack))
    return BlobRecord(domain, blob, _STATES[state], generation, _pack_digest(pack), pack_generation, pack_size, start, bool(is_pack))
