"""What can be logged besides numbers: a front door to `lineage.sdk.media`."""

from lineage.sdk.media import Histogram, Html, Image, Media, Table

WBValue = Media

__all__ = ["Histogram", "Html", "Image", "Media", "Table", "WBValue"]
