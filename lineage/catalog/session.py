"""Writers' sessions: what a commit makes of their pins, and how they end. Laws: `storage.ledger.Ledger`.

A session that was closed for dead may not commit any more; everything here is part of the caller's transaction.
"""

from collections.abc import Iterable

from lineage.catalog.column import chunks, marks
from lineage.catalog.open import Connection
from storage.digest import Digest


def end(c: Connection, session: str) -> None:
    """Free a session's pins and close it; a closed one stays closed."""
    c.execute("DELETE FROM pin WHERE session_id = ?", (session,))
    c.execute("DELETE FROM session WHERE id = ?", (session,))


def is_open(c: Connection, session: str) -> bool:
    """May the session still commit? One that was closed for dead may not."""
    return c.execute("SELECT 1 FROM session WHERE id = ?", (session,)).fetchone() is not None


_SHARE = (
    "INSERT INTO pin (session_id, blob_id, pack_id, start) SELECT other.session_id, blob.id, blob.pack_id, blob.start "
    "FROM pin AS mine JOIN blob ON blob.id = mine.blob_id "
    "JOIN pin AS other ON other.blob_id = blob.pack_id AND other.session_id <> mine.session_id "
    "WHERE mine.session_id = ? AND blob.pack_id IS NOT NULL AND (blob.state = 'uploading' OR mine.pack_id IS NOT NULL) "
    "ON CONFLICT DO NOTHING"
)
"""What others protect by a pin on its pack only, they pin before it rests elsewhere."""


def commit(c: Connection, session: str, lost: Iterable[Digest] = ()) -> None:
    """What the session pinned, and what rests in the packs it placed, is live from here on, but for what it `lost`; the session is over."""
    for chunk in chunks(lost):
        listed = f"SELECT id FROM blob WHERE is_pack = 0 AND digest IN ({marks(len(chunk))})"
        text = f"DELETE FROM pin WHERE session_id = ? AND blob_id IN ({listed})"
        c.execute(text, (session, *map(str, chunk)))
    c.execute(_SHARE, (session,))
    c.execute(
        "UPDATE blob SET state = 'live', pack_id = pin.pack_id, start = pin.start FROM pin WHERE pin.session_id = ? AND pin.blob_id = blob.id "
        "AND (blob.state = 'uploading' OR (blob.state = 'live' AND blob.pack_id IS NOT NULL AND pin.pack_id IS NOT NULL))",
        (session,),
    )
    c.execute(
        "UPDATE blob SET state = 'live' WHERE state = 'uploading' AND pack_id IN (SELECT blob_id FROM pin WHERE session_id = ?)", (session,)
    )
    end(c, session)
