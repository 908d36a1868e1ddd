"""References to objects that live elsewhere: pinned when added, fetched exactly as pinned, checked later. The law is in `scheme`."""

from storage.transfer.reference.cached import fetch_cached
from storage.transfer.reference.handler import HANDLERS, check, fetch, pin
from storage.transfer.reference.scheme import DEFAULT_MAX_OBJECTS, Standing, strip_secrets

__all__ = ["DEFAULT_MAX_OBJECTS", "HANDLERS", "Standing", "check", "fetch", "fetch_cached", "pin", "strip_secrets"]
