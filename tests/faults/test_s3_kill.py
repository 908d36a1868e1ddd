"""A process whose store is in a bucket dies before or after any request, or at any effect on its own disk and catalogue.

What was acknowledged by then is whole, the same commands again need no repair, and nothing is left behind, here or there.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import delete, verify
from lineage.actions.open import Engine, open_engine
from lineage.actions.reclaim import plan_reclaim, reclaim
from storage.blob import disk, endpoint
from storage.blob.pack import PACKED
from storage.blob.s3 import S3Backend
from tests.faults.invariants import Acknowledged, check, cleaned
from tests.faults.kill import NOON, counted, die_at
from tests.faults.s3 import Service
from tests.faults.scene import named, put, tree

PART = 2 * PACKED
FIRST = {"a": b"alpha", "alone": b"one" * (PACKED // 2)}
SECOND = {"a": b"alpha", "b": b"beta", "in parts": b"many " * (PART // 4)}
"""A file that is known, one that goes into a pack, one that goes up in two parts."""

SETS = 8
"""Every run kills at each eighth request, before it and after it; the other sets, and effects at home, take their time."""


class Remote:
    """A store with one version in a bucket, as it was before each kill."""

    def __init__(self, place: Path, s3: Service) -> None:
        self.place, self.s3, self.bucket = place, s3, s3.bucket()
        self.number = 0
        tree(place / "first", FIRST)
        tree(place / "second", SECOND)

    def open(self) -> Engine:
        root, url = self.place / f"home {self.number}", f"s3://{self.bucket}/{self.number}"
        return open_engine(root, entity="tester", clock=lambda: NOON, store=url)

    def begin(self) -> None:
        self.number += 1
        engine = self.open()
        put(engine, self.place / "first")
        engine.close()

    def work(self, tell: Callable[[object], None]) -> None:
        """Log another version, delete the first, free what only that had needed."""
        engine = self.open()
        put(engine, self.place / "second")
        tell("logged")
        first = named(engine, "raw:v0")
        if first is not None and first.is_live:
            delete.delete_version(engine, first, delete_aliases=True)
        tell("deleted")
        reclaim(engine, plan_reclaim(engine))
        engine.close()


@pytest.fixture
def remote(place: Path, s3: Service, monkeypatch: pytest.MonkeyPatch) -> Remote:
    if s3.name != "moto":
        pytest.skip("only moto takes parts of a few bytes")
    from moto.s3 import models

    monkeypatch.setattr(models, "S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr(S3Backend.__init__, "__kwdefaults__", {"single": PART, "part": PART})
    real = endpoint.ask

    def ask(method: str, **request: Any) -> dict[str, Any]:
        disk.notice("ask", method)
        answer = real(method, **request)
        disk.notice("asked", method)
        return answer

    monkeypatch.setattr(endpoint, "ask", ask)
    return Remote(place, s3)


def promised(told: list[Any]) -> Iterator[tuple[int, dict[str, bytes]]]:
    if "logged" in told:
        yield 2, SECOND
    if "logged" not in told:  # it is deleted after that
        yield 1, FIRST


def chosen(effects: list[str], part: int) -> list[int]:
    """The numbers of the effects that belong to this set: requests first, then what happens at home."""
    requests = [number for number, effect in enumerate(effects, 1) if effect.startswith("ask")]
    others = [number for number, effect in enumerate(effects, 1) if not effect.startswith("ask")]
    return requests[part::SETS] if part < SETS else others[part - SETS :: SETS]


@pytest.mark.parametrize("part", [0, 3, *(pytest.param(part, marks=pytest.mark.soak) for part in range(2 * SETS) if part not in (0, 3))])
@pytest.mark.fault("S01", "R02", "R19", "G29", "I-01", "I-02", "I-03", "I-04", "I-05", "I-06", "I-09", "I-10", "I-11")
def test_killed_between_any_two_steps(remote: Remote, part: int) -> None:
    """An acknowledged version is whole whenever its writer, or who frees another's bytes, dies; the same commands then end as they would have."""
    remote.begin()
    with counted() as effects:
        remote.work(lambda _: None)
    assert {"create_multipart_upload", "upload_part", "complete_multipart_upload", "put_object", "delete_objects"} <= {
        effect.rpartition(" ")[2] for effect in effects
    }

    for number in chosen(effects, part):
        remote.begin()
        _, told = die_at(number, remote.work, remote.place)
        print(number, effects[number - 1], told)
        engine = remote.open()
        check(engine, Acknowledged(dict(promised(told))))
        engine.close()
        remote.work(lambda _: None)
        engine = remote.open()
        live = named(engine, "raw:latest")
        assert live is not None
        check(engine, Acknowledged({live.id: SECOND}))
        cleaned(engine)
        assert verify.verify(engine, deep=True).store.is_sound
        assert [] == engine.home.backend.sessions()
        engine.close()
    assert [] == remote.s3.uploads(remote.bucket)


def test_how_many_moments_there_are(remote: Remote) -> None:
    """Eighty at least, twenty of them about requests: were the work to shrink, so would they, unseen."""
    remote.begin()
    with counted() as effects:
        remote.work(lambda _: None)

    assert 80 <= len(effects)
    assert 20 <= sum(effect.startswith("ask") for effect in effects)
