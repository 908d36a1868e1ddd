"""`doctor`: how the store is, and what a place really does."""

from pathlib import Path
from typing import Any

import pytest

from lineage.catalog import health
from tests.faults.proxy import FOREVER, Fault, Proxy
from tests.faults.s3 import Service
from tests.lineage.cli.conftest import Caller


def findings(answer: Any) -> dict[str, tuple[str, str]]:
    """Subject → weight and what was found."""
    return {each["subject"]: (each["weight"], each["found"]) for each in answer.json["findings"]}


def left(s3: Service, bucket: str) -> list[str]:
    return [each["Key"] for each in s3.client.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.mark.fault("S19", "D01")
def test_a_store_in_its_directory_is_well(lineage: Caller, data: Path) -> None:
    """Room for bytes and for names, the library, the disk and the catalogue are told; nothing is left behind."""
    lineage("put", data, "-n", "toys/a")
    before = sorted(path.name for path in lineage.home.iterdir())
    answer = lineage("doctor", "--json")
    told = findings(answer)

    assert 0 == answer.code
    assert {"free space", "free files", "names", "SQLite", "disk", "log", "catalogue"} == told.keys()
    assert ("fine", "whole") == told["catalogue"]
    assert before == sorted(path.name for path in lineage.home.iterdir())


@pytest.mark.fault("D01")
def test_an_old_library_is_told(lineage: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the version that is better, and no alarm: our own lock keeps the fault from happening."""
    lineage("init")
    monkeypatch.setattr(health, "SAFE", (99, 0, 0))
    answer = lineage("doctor", "--json")

    assert 0 == answer.code
    assert "note" == findings(answer)["SQLite"][0]
    assert "99.0.0" in lineage("doctor").out


def test_a_network_disk_is_bad(lineage: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the exit code says that not all is well."""
    lineage("init")
    monkeypatch.setattr(health, "file_system_of", lambda _: "nfs4")
    answer = lineage("doctor", "--json")

    assert 1 == answer.code
    assert ("bad", "nfs4") == findings(answer)["disk"]


@pytest.mark.fault("R11")
def test_a_bucket_is_tried(lineage: Caller, s3: Service) -> None:
    """What the service honours is found out by doing it, and nothing of that stays."""
    bucket = s3.bucket()
    answer = lineage("doctor", f"s3://{bucket}/some/prefix", "--json")
    told = findings(answer)

    assert 0 == answer.code
    assert ("fine", "nobody yet") == told["owner"]
    assert {"reach", "create only", "racing creates", "checksums", "ranges", "parts", "listing", "many removes", "versions"} <= told.keys()
    assert ("fine", "honoured") == told["create only"]
    assert [] == left(s3, bucket)


def test_the_stores_own_bucket_is_tried_too(lineage: Caller, s3: Service, data: Path) -> None:
    """With whose it is; versions that are kept are worth a note."""
    bucket = s3.bucket(versioned=True)
    lineage("init", "--store", f"s3://{bucket}/x")
    lineage("put", data, "-n", "toys/a")
    told = findings(lineage("doctor", "--json"))

    assert ("fine", "this store") == told["owner"]
    assert ("fine", f"s3://{bucket}/x") == told["place"]
    assert ("note", "are kept") == told["versions"]


@pytest.mark.fault("R11")
def test_what_a_service_does_not_honour_is_told(lineage: Caller, s3: Service, s3_proxy: Proxy) -> None:
    """A condition that is ignored and a bulk delete that is refused are notes: bytes are right without them."""
    if s3.name != "moto":
        pytest.skip("a service that checks signatures does not let a signed header be taken away on the way")
    s3_proxy.plan(Fault("PUT", times=FOREVER, without="If-None-Match"), Fault("?delete", times=FOREVER, status=501, code="NotImplemented"))
    answer = lineage("doctor", f"s3://{s3.bucket()}", "--json")
    told = findings(answer)

    assert 0 == answer.code
    assert ("note", "ignored") == told["create only"]
    assert ("note", "8 of 8 win") == told["racing creates"]
    assert "note" == told["many removes"][0]


def test_a_place_that_refuses_is_bad(lineage: Caller, s3_proxy: Proxy, s3: Service) -> None:
    """The finding says what was refused; the examination ends there."""
    s3_proxy.plan(Fault("PUT", times=FOREVER, status=403, code="AccessDenied"))
    answer = lineage("doctor", f"s3://{s3.bucket()}/x", "--json")

    assert 1 == answer.code
    assert "bad" == findings(answer)["reach"][0]
    assert "s3:PutObject" in findings(answer)["reach"][1]


@pytest.mark.parametrize("url", ["memory://doctor/x", "file:///nowhere/at/all"])
def test_other_places_are_told_of(lineage: Caller, url: str) -> None:
    """Also before they are there, and without making them."""
    answer = lineage("doctor", url, "--json")

    assert 0 == answer.code
    assert "owner" in findings(answer)


def test_what_is_no_place_is_refused(lineage: Caller) -> None:
    """As a wrong call."""
    assert 2 == lineage("doctor", "not-a-url").code
