"""What was written once must be read for ever: these bytes and digests are frozen.

`manifest-1.json` holds entries with the exact bytes of their segment and manifest; `pack-1.json` contents with the exact bytes of their
pack; `format-1.json` a store's format file as release 0.1 writes it. When a test here fails the format has drifted: take the change back,
or make a new major version beside this one. The files are never regenerated.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from storage.blob.memory import MemoryBackend
from storage.blob.pack import PackWriter, read_footer
from storage.digest import Blob, Digest
from storage.entry import Entry, Kind, Pin
from storage.errors import InvalidDigest
from storage.layout import StoreFormat, blob_key, pack_key, parse_blob_key, parse_pack_key
from storage.manifest import build, decode_manifest, decode_segment

HERE = Path(__file__).parent
VECTORS: dict[str, dict[str, Any]] = json.loads((HERE / "manifest-1.json").read_text(encoding="utf-8"))

PACKS: dict[str, dict[str, Any]] = json.loads((HERE / "pack-1.json").read_text(encoding="utf-8"))


def entry_of(row: dict[str, Any]) -> Entry:
    digest = Digest.parse(row["digest"]) if "digest" in row else None
    pin = Pin(**row["pin"]) if "pin" in row else None
    return Entry(row["path"], Kind(row["kind"]), digest, row.get("size"), row.get("executable", False), row.get("target"), pin)


@pytest.mark.fault("H18")
@pytest.mark.parametrize("name", VECTORS)
def test_encoding(name: str) -> None:
    """The frozen entries have the frozen bytes and digests."""
    vector = VECTORS[name]
    built = build(entry_of(row) for row in vector["entries"])

    assert vector["segments"] == [built.blobs[segment.digest][1].hex() for segment in built.manifest.segments]
    assert vector["manifest"] == built.manifest.encoded.hex()
    assert vector["digest"] == str(built.manifest.digest)


@pytest.mark.fault("H18")
@pytest.mark.parametrize("name", VECTORS)
def test_decoding(name: str) -> None:
    """The frozen bytes decode to the frozen entries."""
    vector = VECTORS[name]
    segments = [bytes.fromhex(text) for text in vector["segments"]]
    manifest = decode_manifest(bytes.fromhex(vector["manifest"]), {Digest.of(data): data for data in segments}.__getitem__)

    assert [entry_of(row) for row in vector["entries"]] == list(manifest)
    assert [entry_of(row) for row in vector["entries"]] == [entry for data in segments for entry in decode_segment(data)]


def test_where_segments_end() -> None:
    """Ten thousand numbered paths are cut where they always were, under the digest they always had."""
    manifest = build(Entry.file(f"data/{number:05}.bin", Digest.of(b"%d" % number), number) for number in range(10_000)).manifest

    assert [961, 293, 1863, 1522, 341, 1452, 317, 993, 194, 568, 848, 648] == [segment.count for segment in manifest.segments]
    assert "blake3:ed988ab0b20f951a51cd87a5937e60970babefc229e575a3f1008d66d8d03315" == str(manifest.digest)


@pytest.mark.fault("H18")
@pytest.mark.parametrize("name", PACKS)
def test_packs(name: str) -> None:
    """The frozen contents make the frozen pack, and the frozen pack says itself what is in it."""
    frozen = PACKS[name]
    backend, contents = MemoryBackend(), [bytes.fromhex(text) for text in frozen["contents"]]
    writer = PackWriter(backend.stage("s"), frozen["algorithm"])
    starts = [writer.append(Blob.of(data, frozen["algorithm"]), data) for data in contents]
    pack = writer.finish()
    data = bytes.fromhex(frozen["pack"])

    assert (frozen["digest"], len(data), frozen["starts"]) == (str(pack.blob.digest), pack.blob.size, starts)
    assert [data] == [bytes(piece) for piece in backend.staging["s"].values()]
    assert pack.members == read_footer(lambda start, length: data[start : start + length], len(data))


def test_digests_and_checksums() -> None:
    """The functions behind digests and checksums give the published values."""
    assert "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" == str(Digest.of(b""))
    assert "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" == str(Digest.of(b"", "sha256"))
    assert "99aa06d3014798d86001c324468d497f" == Blob.of(b"").checksum


def test_format_file() -> None:
    """The frozen format file parses, and prints as it stands."""
    text = (HERE / "format-1.json").read_text(encoding="utf-8")

    assert StoreFormat("00112233445566778899aabbccddeeff", "blake3", 1, 0) == StoreFormat.parse(text, "format-1.json")
    assert text == StoreFormat.parse(text, "format-1.json").print()


def test_keys() -> None:
    """Blobs rest where they always did."""
    digest = Digest.parse("blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")
    plain = "objects/p-1/blake3/af/1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"

    assert (plain, f"{plain}.3") == (blob_key("p-1", digest), blob_key("p-1", digest, 3))
    assert ("p-1", digest, 3) == parse_blob_key(f"{plain}.3")

    pack = plain.replace("blake3", "packs/blake3")
    assert (pack, f"{pack}.3") == (pack_key("p-1", digest), pack_key("p-1", digest, 3))
    assert ("p-1", digest, 3) == parse_pack_key(f"{pack}.3")
    for parse, key in ((parse_blob_key, pack), (parse_pack_key, plain)):
        with pytest.raises(InvalidDigest, match="is not the key of a"):
            parse(key)
