"""Things people log besides numbers: tables, images, pages, histograms, each as the files and the JSON document it is kept as.

    artifact.add(obj, "name")   ──▶  name.<kind>.json, and the obj's own files beside it
    artifact.get("name")        ◀──  the same object again

A medium knows its own bytes and nothing of artifacts, runs or the store. Writing and reading are inverses. NumPy, PIL and pandas are used
when the caller hands their objects in, and are never needed otherwise.
"""

import base64
import json
import math
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Self

from lineage.model.document import check_document
from lineage.model.errors import UsageError
from lineage.model.metric import plain
from storage.digest import Digest

Files = dict[str, bytes]
Read = Callable[[str], bytes]


class Media:
    """One medium. `kind` is the word in the entry's name and in the document's `_type`."""

    kind: ClassVar[str] = ""
    artifact_type: ClassVar[str] = "run_media"
    """The type of the artifact that keeps it when a run logs it among its metrics."""

    def document(self) -> tuple[dict[str, Any], Files]:
        """The JSON document, and the files it names by path."""
        raise NotImplementedError

    @classmethod
    def load(cls, document: Mapping[str, Any], read: Read) -> Self:
        """The object that `document` describes, its files fetched with `read`."""
        raise NotImplementedError

    def encode(self, name: str) -> Files:
        """Every file it is kept as, under `name`."""
        document, files = self.document()
        text = json.dumps({"_type": self.kind, **document}, ensure_ascii=False, separators=(",", ":"))
        return {entry_name(name, self.kind): text.encode(), **files}


class Table(Media):
    """Rows under named columns.

    >>> Table(columns=["word", "count"], data=[["a", 1]]).get_column("count")
    [1]
    """

    kind = "table"
    artifact_type = "run_table"

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        data: Any = None,
        rows: Sequence[Sequence[Any]] | None = None,
        dataframe: Any = None,
        **_ignored: object,
    ) -> None:
        source = dataframe if dataframe is not None else data if hasattr(data, "columns") and hasattr(data, "itertuples") else None
        if source is not None:
            columns, data = [str(name) for name in source.columns], [list(row) for row in source.itertuples(index=False, name=None)]
        self.columns = list(columns) if columns is not None else ["Input", "Output", "Expected"]
        self.data: list[list[Any]] = []
        for row in data if data is not None else rows or ():
            self.add_data(*row)

    def add_data(self, *row: Any) -> None:
        """Append one row.

        Raises:
            UsageError: it has another number of values than there are columns.
        """
        if len(row) != len(self.columns):
            raise UsageError(
                f"a row of {len(row)} values was given to a table of {len(self.columns)} columns ({', '.join(map(str, self.columns))})"
            )
        self.data.append(list(row))

    def add_column(self, name: str, data: Sequence[Any]) -> None:
        """Append one column."""
        if self.data and len(data) != len(self.data):
            raise UsageError(f"column {name!r} of {len(data)} values was given to a table of {len(self.data)} rows")
        self.columns.append(name)
        self.data = [[*row, value] for row, value in zip(self.data or [[] for _ in data], data, strict=True)]

    def get_column(self, name: str) -> list[Any]:
        """The values of one column."""
        if name not in self.columns:
            raise UsageError(f"the table has no column {name!r}: it has {', '.join(map(str, self.columns))}")
        position = self.columns.index(name)
        return [row[position] for row in self.data]

    def get_dataframe(self) -> Any:
        """The table as a pandas frame."""
        import pandas as pd

        return pd.DataFrame(self.data, columns=self.columns)

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        yield from enumerate(self.data)

    def document(self) -> tuple[dict[str, Any], Files]:
        files: Files = {}
        rows = [[_cell(value, files) for value in row] for row in self.data]
        return {"columns": self.columns, "data": rows, "ncols": len(self.columns), "nrows": len(rows)}, files

    @classmethod
    def load(cls, document: Mapping[str, Any], read: Read) -> "Table":
        table = cls(columns=document["columns"])
        table.data = [[_uncell(value, read) for value in row] for row in document["data"]]
        return table

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and (self.columns, self.data) == (other.columns, other.data)

    __hash__ = None  # type: ignore[assignment]  # a table changes

    def __repr__(self) -> str:
        return f"<Table {len(self.data)} rows × {len(self.columns)} columns>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(str(name))}</th>" for name in self.columns)
        body = "".join("<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>" for row in self.data[:50])
        return f"<table><tr>{head}</tr>{body}</table>"


class Image(Media):
    """A picture: a file's path, a PIL image, a NumPy array (grey, RGB or RGBA) or encoded bytes."""

    kind = "image-file"

    def __init__(self, data_or_path: Any, mode: str | None = None, caption: str | None = None, **_ignored: object) -> None:
        self.caption = caption
        self.format, self.content = _picture(data_or_path, mode)

    def document(self) -> tuple[dict[str, Any], Files]:
        path = f"media/images/{Digest.of(self.content).value[:20]}.{self.format}"
        return {"path": path, "format": self.format, "size": len(self.content), "caption": self.caption}, {path: self.content}

    @classmethod
    def load(cls, document: Mapping[str, Any], read: Read) -> "Image":
        return cls(read(document["path"]), caption=document.get("caption"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and (self.content, self.caption) == (other.content, other.caption)

    def __hash__(self) -> int:
        return hash((self.content, self.caption))

    def __repr__(self) -> str:
        return f"<Image {self.format}, {len(self.content):,} bytes>"

    def _repr_html_(self) -> str:
        source = base64.b64encode(self.content).decode()
        return f'<img alt="{escape(self.caption or "")}" src="data:image/{self.format};base64,{source}">'


class Html(Media):
    """A page: text, a path that ends in `.html`, or an open file."""

    kind = "html-file"

    def __init__(self, data: Any, inject: bool = True, **_ignored: object) -> None:  # the W&B signature
        if hasattr(data, "read"):
            data = data.read()
        elif isinstance(data, Path) or (isinstance(data, str) and data.endswith(".html") and Path(data).is_file()):
            data = Path(data).read_text(encoding="utf-8")
        self.html = data.decode() if isinstance(data, bytes) else str(data)

    def document(self) -> tuple[dict[str, Any], Files]:
        content = self.html.encode()
        path = f"media/html/{Digest.of(content).value[:20]}.html"
        return {"path": path, "size": len(content)}, {path: content}

    @classmethod
    def load(cls, document: Mapping[str, Any], read: Read) -> "Html":
        return cls(read(document["path"]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Html) and self.html == other.html

    def __hash__(self) -> int:
        return hash(self.html)


class Histogram(Media):
    """How often values fall between the edges of bins; NaN and infinities fall nowhere."""

    kind = "histogram"
    MAX_BINS = 512

    def __init__(self, sequence: Any = None, np_histogram: tuple[Any, Any] | None = None, num_bins: int = 64) -> None:
        if np_histogram is not None:
            counts, edges = np_histogram
            self.histogram, self.bins = [float(count) for count in counts], [float(edge) for edge in edges]
        else:
            if not 1 <= num_bins <= self.MAX_BINS:
                raise UsageError(f"num_bins={num_bins}: choose 1 to {self.MAX_BINS}")
            self.histogram, self.bins = _count([] if sequence is None else _numbers(sequence), num_bins)
        if len(self.bins) != len(self.histogram) + 1:
            raise UsageError(f"{len(self.histogram)} counts need {len(self.histogram) + 1} edges: {len(self.bins)} were given")

    def document(self) -> tuple[dict[str, Any], Files]:
        return {"values": self.histogram, "bins": self.bins}, {}

    @classmethod
    def load(cls, document: Mapping[str, Any], read: Read) -> "Histogram":  # noqa: ARG003  # it has no files
        return cls(np_histogram=(document["values"], document["bins"]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and (self.histogram, self.bins) == (other.histogram, other.bins)

    def __hash__(self) -> int:
        return hash((tuple(self.histogram), tuple(self.bins)))


KINDS: dict[str, type[Media]] = {kind.kind: kind for kind in (Table, Image, Html, Histogram)}


def entry_name(name: str, kind: str) -> str:
    """The path of the document of a medium called `name`."""
    return name if name.endswith(f".{kind}.json") else f"{name}.{kind}.json"


def decode(text: bytes, read: Read) -> Media:
    """The medium that a document describes.

    Raises:
        UsageError: it describes none we know.
    """
    document = json.loads(text)
    kind = KINDS.get(document.get("_type", "")) if isinstance(document, dict) else None
    if kind is None:
        raise UsageError(f"this entry is not a medium we know: one of {', '.join(KINDS)}")
    return kind.load(document, read)


def _cell(value: Any, files: Files) -> Any:
    if isinstance(value, Media):
        document, own = value.document()
        files.update(own)
        return {"_type": value.kind, **document}
    if isinstance(value, float) and not math.isfinite(value):
        return {"_type": "number", "value": repr(value)}
    found = plain(value, "a table cell")
    return {"_type": "number", "value": repr(found)} if isinstance(found, float) and not math.isfinite(found) else found


def _uncell(value: Any, read: Read) -> Any:
    if isinstance(value, dict) and value.get("_type") == "number":
        return float(value["value"])
    kind = KINDS.get(value.get("_type", "")) if isinstance(value, dict) else None
    return value if kind is None else kind.load(value, read)


_SIGNATURES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"BM": "bmp", b"RIFF": "webp", b"<svg": "svg+xml"}


def _picture(data: Any, mode: str | None) -> tuple[str, bytes]:
    if isinstance(data, Image):
        return data.format, data.content
    if isinstance(data, str | Path):
        data = Path(data).read_bytes()
    if isinstance(data, bytes):
        found = next((name for signature, name in _SIGNATURES.items() if data.startswith(signature)), None)
        if found is None:
            raise UsageError(f"these bytes are no picture we know: give one of {', '.join(_SIGNATURES.values())}")
        return found, data
    if hasattr(data, "save") and hasattr(data, "convert"):
        return "png", _saved(data if mode is None else data.convert(mode))
    if hasattr(data, "tolist") and hasattr(data, "shape"):
        return "png", _png(data)
    raise UsageError(f"an image is a path, bytes, a PIL image or an array, not {type(data).__name__}")


def _saved(picture: Any) -> bytes:
    from io import BytesIO

    out = BytesIO()
    picture.save(out, format="PNG")
    return out.getvalue()


_CHANNELS = {1: 0, 3: 2, 4: 6}
"""Channels → PNG colour type."""


def _png(pixels: Any) -> bytes:
    """An array of (height, width[, channels]) as PNG: whole numbers 0 to 255, or fractions 0 to 1."""
    shape = tuple(pixels.shape)
    channels = shape[2] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or channels not in _CHANNELS or 0 in shape:
        raise UsageError(f"an image array has the shape (height, width), or that and 1, 3 or 4 channels, not {shape}")
    scaled = pixels * 255 if str(pixels.dtype).startswith("float") and float(pixels.max()) <= 1 else pixels
    flat_bytes = scaled.clip(0, 255).astype("uint8").tobytes()
    width = shape[1] * channels
    rows = b"".join(b"\0" + flat_bytes[at : at + width] for at in range(0, len(flat_bytes), width))
    header = struct.pack(">IIBBBBB", shape[1], shape[0], 8, _CHANNELS[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body)) for tag, body in chunks
    )


def _numbers(sequence: Any) -> list[float]:
    values = sequence.ravel().tolist() if hasattr(sequence, "ravel") else list(sequence)
    return [float(value) for value in check_document({"values": [v for v in values if math.isfinite(v)]}, "histogram")["values"]]


def _count(values: Sequence[float], bins: int) -> tuple[list[float], list[float]]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    step = (high - low) / bins
    counts = [0.0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / step))] += 1
    return counts, [low + step * position for position in range(bins)] + [high]
