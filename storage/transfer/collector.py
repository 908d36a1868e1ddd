"""Python's collector of cycles, paused while millions of values are made that cannot be in one.

It runs whenever so many containers were made more than freed, and each time looks at all there are: making a large tree's entries costs
twice as much with it as without. What is made under `paused` are tuples of text and numbers, which have no cycles; nothing that waits for
a disk, a network or the user's own code belongs in there.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Collect nothing while this lasts; whoever has switched the collector off himself keeps it so."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
