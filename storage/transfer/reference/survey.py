"""How many references stand, asked together: where a listing shows that all is well, requests grow with its pages, not with objects.

1. A listing only ever says that all is well. What it shows changed, or does not show, is asked for by itself: absence is a definite word.
2. A listing that turns out long for what it is asked about is given up.
3. What could not be found out is an error beside the others, never a state; a place that answers nobody is not asked a thousand times.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from storage.entry import Pin
from storage.errors import StorageError, Unavailable
from storage.transfer.reference import s3
from storage.transfer.reference.handler import HANDLERS, check
from storage.transfer.reference.provider.law import explained
from storage.transfer.reference.provider.registry import is_known, provider_of
from storage.transfer.reference.remote import standing
from storage.transfer.reference.scheme import Standing
from storage.uri import scheme_of

WORKERS = 16
"""Questions asked at once of what has to be asked one by one."""
WORTH = 8
"""Pins of one place from which on a listing is worth trying."""
PAGE = 1000
PATIENCE = 4
"""Failures in a row after which a place is left alone for the rest of this survey."""

Answer = Standing | StorageError
Row = TypeVar("Row")
_WELL = frozenset({Standing.OK, Standing.UNPINNED, Standing.UNVERIFIABLE})


@dataclass(frozen=True, slots=True)
class Asked:
    """A pin and the size that goes with it; `number` is the caller's."""

    number: int
    pin: Pin
    size: int | None


def standings(asked: Iterable[Asked]) -> Iterator[tuple[int, Answer]]:
    """Number and answer of each, as they become known, every one exactly once."""
    places: dict[str, list[Asked]] = defaultdict(list)
    for each in asked:
        places[_place(each.pin.uri)].append(each)
    for group in places.values():
        left = {each.number: each for each in group}
        for number, answer in _listed(group):
            if number in left and answer in _WELL:
                del left[number]
                yield number, answer
        yield from _one_by_one(list(left.values()))


def _place(uri: str) -> str:
    return uri.partition("://")[0] + "://" + uri.partition("://")[2].partition("/")[0]


def _one_by_one(group: Sequence[Asked]) -> Iterator[tuple[int, Answer]]:
    """Each by itself, some at once, in order. Nobody waits for a thousand timeouts: what failed four times running has failed."""
    failed = 0
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="lineage-check") as pool:
        for start in range(0, len(group), WORKERS):
            part = group[start : start + WORKERS]
            for each, answer in zip(part, pool.map(_ask, part), strict=True):
                failed = failed + 1 if isinstance(answer, Unavailable) else 0
                yield each.number, answer
            if failed >= PATIENCE and isinstance(answer, Unavailable):
                yield from ((each.number, answer) for each in group[start + WORKERS :])
                return


def _ask(each: Asked) -> Answer:
    try:
        return check(each.pin, each.size)
    except StorageError as error:
        return error


def _listed(group: Sequence[Asked]) -> Iterator[tuple[int, Standing]]:
    """What listings say of a place; nothing where there is none, or it is not to be had."""
    scheme = scheme_of(group[0].pin.uri)
    if len(group) < WORTH:
        return
    lister: Callable[[Sequence[Asked]], Iterator[tuple[int, Standing]]] | None
    lister = _LISTERS.get(scheme, None if scheme in HANDLERS or not is_known(scheme) else _below)
    try:
        yield from lister(group) if lister is not None else ()
    except StorageError:
        return  # may not be listed, or not now: each is asked by itself, and says so by itself


def _s3(group: Sequence[Asked]) -> Iterator[tuple[int, Standing]]:
    kinds: dict[bool, dict[str, list[Asked]]] = {False: defaultdict(list), True: defaultdict(list)}
    for each in group:
        place = s3.Place.parse(each.pin.uri)
        version = each.pin.version_id or place.version
        kinds[version is not None][place.key].append(replace(each, pin=replace(each.pin, version_id=version)))
    bucket = s3.Place.parse(group[0].pin.uri).bucket
    for by_version, wanted in kinds.items():
        if sum(map(len, wanted.values())) >= WORTH:
            place = s3.Place(bucket, os.path.commonprefix(list(wanted)))  # noqa: RUF071  # keys are text
            rows = s3.history(place) if by_version else s3.objects(place)
            yield from _matched(((row.key, row) for row in rows), wanted, s3.standing_of)


def _below(group: Sequence[Asked]) -> Iterator[tuple[int, Standing]]:
    with provider_of(group[0].pin.uri) as provider:
        wanted: dict[str, list[Asked]] = defaultdict(list)
        for each in group:
            wanted[provider.key(each.pin.uri)].append(each)
        root = os.path.commonprefix(list(wanted)).rpartition("/")[0] + "/"  # noqa: RUF071  # keys are text
        with explained(group[0].pin.uri):
            rows = ((seen.key, seen) for seen in provider.below(root))
            yield from _matched(rows, wanted, lambda pin, size, seen: standing(provider, pin, size, seen.completed(pin)))


def _matched(
    rows: Iterable[tuple[str, Row]],
    wanted: Mapping[str, Sequence[Asked]],
    judge: Callable[[Pin, int | None, Row], Standing | None],
) -> Iterator[tuple[int, Standing]]:
    """Walk a listing for as long as it is worth it: until all are met, or it is far longer than what is asked about."""
    open_, allowed = sum(map(len, wanted.values())), PAGE * (2 + sum(map(len, wanted.values())) // 20)
    for position, (key, row) in enumerate(rows):
        for each in wanted.get(key, ()):
            found = judge(each.pin, each.size, row)
            if found is not None:
                open_ -= 1
                yield each.number, found
        if open_ <= 0 or position >= allowed:
            return


_LISTERS: dict[str, Callable[[Sequence[Asked]], Iterator[tuple[int, Standing]]]] = {"s3": _s3, "s3a": _s3}
"""Schemes with a listing of their own; what fsspec knows shares one."""
