"""Media: written and read back, alone, in artifacts, and among metrics."""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lineage.errors import UsageError
from lineage.sdk.media import Histogram, Html, Image, Media, Table, decode

Write = Callable[..., str]
PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def there_and_back(medium: Media) -> Media:
    files = medium.encode("x")
    return decode(files[f"x.{medium.kind}.json"], files.__getitem__)


@pytest.mark.parametrize(
    "medium",
    [
        Table(columns=["a", "b"], data=[[1, "é"], [None, True]]),
        Table(columns=["a"], data=[[Image(PIXELS)], [Histogram([1, 2])]]),
        Table(),
        Image(PIXELS, caption="x"),
        Html("<b>é</b>"),
        Histogram([1.0, 2.0, 2.0, math.nan]),
    ],
    ids=lambda medium: medium.kind,
)
def test_reading_is_the_inverse_of_writing(medium: Media) -> None:
    """Whatever was added is what `get` gives."""
    assert medium == there_and_back(medium)


def test_tables_hold_what_cells_hold() -> None:
    """NaN and infinities come back; rows must fit; columns can be added and read; frames go both ways."""
    table = Table(columns=["x"], data=[[math.nan], [math.inf]])
    (first,), (second,) = there_and_back(table).data  # type: ignore[attr-defined]
    assert math.isnan(first)
    assert math.inf == second
    table.add_column("y", [1, 2])
    assert ([1, 2], ["x", "y"], 2) == (table.get_column("y"), table.columns, len(table))
    for wrong in (lambda: table.add_data(1), lambda: table.add_column("z", [1]), lambda: table.get_column("z")):
        with pytest.raises(UsageError):
            wrong()
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert frame.equals(Table(dataframe=frame).get_dataframe())
    assert [(0, [1, "x"]), (1, [2, "y"])] == list(Table(data=frame).iterrows())
    assert "<td>" in table._repr_html_()


def test_images_come_from_many_places(write: Write) -> None:
    """A file, encoded bytes, an array of bytes or fractions, grey or coloured; what is none is refused."""
    image = Image(PIXELS)
    assert ("png", b"\x89PNG") == (image.format, image.content[:4])
    assert image == Image(write("a.png", image.content)) == Image(image.content) == Image(image) == Image(PIXELS / 255.0)
    Image(PIXELS[:, :, 0])
    assert "data:image/png;base64" in image._repr_html_()
    for wrong in (b"text", 7, np.zeros((2, 2, 5)), np.zeros(3)):
        with pytest.raises(UsageError):
            Image(wrong)


def test_pages_come_from_text_files_and_handles(write: Write) -> None:
    """A path only when it ends in `.html` and is there."""
    path = write("a.html", "<p>")
    with Path(path).open() as handle:
        assert Html("<p>") == Html(path) == Html(Path(path)) == Html(handle)
    assert "missing.html" == Html("missing.html").html


def test_histograms_count() -> None:
    """Every finite value falls into one bin; given bins are taken."""
    histogram = Histogram([0, 1, 2, 3], num_bins=2)
    assert ([2.0, 2.0], [0.0, 1.5, 3.0]) == (histogram.histogram, histogram.bins)
    assert 3 == sum(Histogram(np.array([[1, 1], [1, math.inf]])).histogram)
    assert [1.0, 2.0] == Histogram(np_histogram=([1, 2], [0, 1, 2])).histogram
    assert 64 == len(Histogram([]).histogram)
    for wrong in ({"num_bins": 0}, {"num_bins": 513}, {"np_histogram": ([1], [0])}):
        with pytest.raises(UsageError):
            Histogram([1], **wrong)  # type: ignore[arg-type]


def test_media_live_in_artifacts(wandb: ModuleType) -> None:
    """Added by method or by key, read by name; the same object twice is one entry; other names are None."""
    table, image = Table(columns=["a"], data=[[1]]), Image(PIXELS)
    with wandb.init(project="shop") as run:
        artifact = wandb.Artifact("media", type="dataset")
        entry = artifact.add(table, "tab")
        assert entry == artifact.add(table, "tab")
        artifact["pic"] = image
        with pytest.raises(UsageError, match="other content"):
            artifact.add(Table(columns=["a"], data=[[2]]), "tab")
        artifact.add(Table(columns=["a"], data=[[2]]), "tab", overwrite=True)
        with pytest.raises(UsageError, match="use add_file"):
            artifact.add("text", "x")
        run.log_artifact(artifact)
    found = wandb.Api().artifact("shop/media")
    assert ([[2]], image, None) == (found.get("tab").data, found["pic"], found.get("none"))
    assert "tab.table.json" == found.get_entry("tab").path


def test_media_among_metrics_are_logged_as_artifacts(wandb: ModuleType) -> None:
    """The row says where they are; histograms stand in the row itself; lists of media are one artifact."""
    with wandb.init(project="shop", id="r1") as run:
        run.log(
            {"loss": 1, "t": Table(columns=["a"], data=[[1]]), "h": Histogram([1, 2]), "pics": [Image(PIXELS), Image(PIXELS[:, :, :1])]}
        )
    (row,) = wandb.Api().run("shop/r1").scan_history()
    assert ("histogram", "table", 2, 1) == (row["h"]["_type"], row["t"]["_type"], row["pics"]["count"], row["loss"])
    table: Any = wandb.Api().artifact(row["t"]["artifact_path"])
    assert ("run_table", [[1]]) == (table.type, table.get("t").data)
    assert {"run-r1-t:v0", "run-r1-pics:v0"} == {each.name for each in wandb.Api().run("shop/r1").logged_artifacts()}
