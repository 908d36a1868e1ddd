"""How long a bucket takes: small files logged into it and checked out of it, and objects pinned that are there.

The service is the one that the tests speak to, on this machine; it needs most of the time, for the limit as for us.
"""

from pathlib import Path

import pytest

from lineage.actions import create, log, read
from lineage.actions.open import open_engine
from lineage.model.names import ProjectPath
from storage.transfer import reference
from storage.transfer.ingest import ingest_tree
from storage.transfer.scan import scan
from tests.benchmarks.test_bytes import make_tree, walk

pytestmark = pytest.mark.benchmark
PART = 64 << 20
"""Bytes that one request takes."""


def test_small_files_in_a_bucket(place, table, scale, stopwatch, s3) -> None:
    """10,000 files of 8 KiB: logged, logged again unchanged, checked out with nothing of them near."""
    files, bucket = max(int(10_000 * scale), 100), s3.bucket()
    tree = make_tree(place, files, 8192)
    engine = open_engine(place / "home", store=f"s3://{bucket}/store")
    project = create.project(engine, ProjectPath("benchmark"))
    with engine.store(project.domain).session() as session:  # whose place it is, is asked once
        session.take_bytes(b"first")
        session.publish()

    def logged() -> log.Logged:
        session = engine.store(project.domain).session()
        return log.log_version(
            engine, project, log.Draft("small", "dataset"), ingest_tree(scan(tree), session, cache=engine.trees), session
        )

    with stopwatch() as sent:
        data = b"".join(Path(path).read_bytes() for path in walk(tree))
        for at in range(0, len(data), PART):
            s3.client.put_object(Bucket=bucket, Key=f"limit/{at}", Body=data[at : at + PART])
    with stopwatch() as first:
        done = logged()
    with stopwatch() as looked:
        walk(tree)
    with stopwatch() as again:
        assert not logged().is_new
    with stopwatch() as fetched:
        for at in range(0, len(data), PART):
            (place / "limit").write_bytes(s3.client.get_object(Bucket=bucket, Key=f"limit/{at}")["Body"].read())
    with stopwatch() as down:
        read.download(engine, done.version, place / "out", use_cache=False)
    table.add(f"log {files:,} files of 8 KiB into a bucket", first[0], "read, PUT as one object", sent[0])
    table.add(f"log {files:,} files into a bucket again, unchanged", again[0], "scan: one look per file", looked[0])
    table.add(f"check out {files:,} files from a bucket, verified", down[0], "GET as one object, written as one file", fetched[0])


def test_pinning_objects(table, scale, stopwatch, s3) -> None:
    """10,000 objects and their versions, pinned."""
    count, bucket = max(int(10_000 * scale), 100), s3.bucket(versioned=True)
    s3.fill(bucket, [f"d/{number:06}" for number in range(count)])
    reference.pin(f"s3://{bucket}/d/000000")  # everything is loaded

    with stopwatch() as listed:
        pages = s3.client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix="d/")
        assert count == sum(len(page["Versions"]) for page in pages)
    with stopwatch() as pinned:
        assert count == len(reference.pin(f"s3://{bucket}/d/", max_objects=count))
    table.add(f"pin {count:,} objects with their versions", pinned[0], "the listing, by boto3", listed[0])
