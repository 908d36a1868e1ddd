"""Shells come in: the `lineage` command. Nothing else in this package may load Typer or rich."""
