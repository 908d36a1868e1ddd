"""`demo`: plays the story step by step, shows the lineage it made, and says what to try next."""

import os
import shlex
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lineage.actions import find, walk
from lineage.actions.expire import expire, plan_expiry
from lineage.actions.open import Engine
from lineage.cli import record, text
from lineage.cli.command.keeping import show_plan
from lineage.cli.demo import corpus, story
from lineage.cli.outcome import Exit
from lineage.cli.shell import Shell
from lineage.graph.algebra import Dag
from lineage.graph.draw import draw
from lineage.graph.svg import render_svg
from lineage.graph.text import NARROWEST, render_text
from lineage.model.artifact import VersionRecord
from lineage.model.edge import Direction
from lineage.model.errors import UsageError
from lineage.model.names import ArtifactPath, ProjectPath, slug
from lineage.model.node import NodeId
from lineage.model.retention import Plan
from lineage.sdk.settings import ENVIRONMENT, PREFIXES, resolve

PROJECT = "demo"
PICTURE = Path("demo") / "lineage-demo.svg"
PATIENCE = 5.0
"""Seconds to wait for the short-lived checkpoint: it is kept for one."""


def demo(
    shell: Shell,
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIRECTORY", help="Python files to learn from. Else this Python's own library.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help=f"Where the picture goes. Else {PICTURE} in the store's directory.")
    ] = None,
) -> Exit:
    """Play a small machine-learning project from end to end: data, real models, the best of them, and where it came from.

    It needs no network and less than a minute, and may be repeated: what is unchanged is not stored again.

    Examples:
      lineage demo
      lineage demo ~/src/myproject --home ~/demo
    """
    tree = corpus.standard_library() if directory is None else corpus.directory(directory)
    if not any(corpus.side(tree.name(path)) == "train" for path in tree.files):
        raise UsageError(f"{directory} holds too few Python files to learn from: name another directory, or none for Python's own library")
    label = "stdlib" if directory is None else slug(directory.resolve().name)
    place = ProjectPath(shell.settings.project or PROJECT, shell.settings.entity)
    shell.show(f"learning from {text.counted(len(tree.files), 'file')}, {text.size(tree.size)}: {tree.how}", "")
    with shell.engine(create=True) as engine, tempfile.TemporaryDirectory(prefix="lineage-demo-") as scratch:
        before = _held(engine)
        tale = story.Tale(tree, corpus.prose(), str(place.project), label, Path(scratch))
        with _settings(shell):
            said = list(_play(shell, tale))
        expired = _expire(shell, engine, place)
        best = find.version(engine, ArtifactPath("ngram-model", "best", place.project, place.entity))
        picture = _draw(shell, engine, best, svg or engine.home.root / PICTURE)
        stored = _held(engine) - before
    _conclude(shell, tale, stored, picture)
    ahead = _next(shell, tale, best)
    document = {
        "project": f"{best.entity}/{best.project}",
        "selection": {"how": tree.how, "files": len(tree.files), "bytes": tree.size},
        "steps": [{"step": step, "said": line} for step, line in said],
        "best": record.version(best),
        "expired": expired,
        "svg": str(picture),
        "logged_bytes": tale.bytes,
        "stored_bytes": stored,
        "next": ahead,
    }
    shell.answer(document, "try next:", *(f"  {line}" for line in ahead))
    return Exit.OK


@contextmanager
def _settings(shell: Shell) -> Iterator[None]:
    """What a user would have in the environment: the store's directory, and nothing else that could bend the story."""
    before = dict(os.environ)
    for name in ENVIRONMENT:
        for prefix in PREFIXES:
            os.environ.pop(prefix + name, None)
    os.environ |= {"LINEAGE_HOME": str(shell.settings.place), "LINEAGE_QUIET": "true"}
    if shell.settings.entity:
        os.environ["LINEAGE_ENTITY"] = shell.settings.entity
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def _play(shell: Shell, tale: story.Tale) -> Iterator[tuple[str, str]]:
    """Tell the story: a line for each thing that was done, as soon as it is done."""
    for number, (name, step) in enumerate(story.STEPS.items(), 1):
        title = f"{number} {name:<10}"
        for line in shell.waiting(name, _told(step, tale)):
            shell.show(f"{title}{line}")
            title = " " * len(title)
            yield name, line


def _told(step: story.Step, tale: story.Tale) -> Iterator[str]:
    told = step(tale)
    yield from [told] if isinstance(told, str) else told


def _expire(shell: Shell, engine: Engine, place: ProjectPath) -> list[str]:
    """Wait for the checkpoint that is kept for a second, show the plan, carry it out. Nothing but the story's own is touched."""
    deadline = time.monotonic() + PATIENCE
    plan = _due(engine, place)
    while not plan.expiring and time.monotonic() < deadline:
        time.sleep(0.1)
        plan = _due(engine, place)
    shell.show("", f"{len(story.STEPS) + 1} expire    what is past its time, and why:")
    show_plan(shell, plan)
    return [] if plan.doubts else [line.name for line in expire(engine, plan).expired]


def _due(engine: Engine, place: ProjectPath) -> Plan:
    plan = plan_expiry(engine, place)
    return replace(plan, lines=tuple(line for line in plan.lines if "/ngram-checkpoint:" in line.name))


def _held(engine: Engine) -> int:
    """Bytes in the store, as they lie there."""
    return sum(size for _, size in engine.home.backend.keys())  # noqa: SIM118  # a backend is no dict


def _draw(shell: Shell, engine: Engine, best: VersionRecord, file: Path) -> Path:
    """Show what the best model was made from and what it went into, and write the same as a picture."""
    focus = NodeId.artifact(best.id)
    dag = Dag(edge for direction in Direction for edge in walk.walk(engine, focus, direction).edges)
    faces = walk.faces(engine, {node.whole for node in dag.order()})
    faces[focus] = replace(faces[focus], highlight=True)
    shell.show("", render_text(dag, focus, faces.__getitem__, width=max(shell.width, NARROWEST)))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(render_svg(draw(dag, faces.__getitem__, title=f"Lineage of {best.path}")), encoding="utf-8")
    return file


def _conclude(shell: Shell, tale: story.Tale, stored: int, picture: Path) -> None:
    shell.show(f"as a picture: {picture}")
    if tale.is_old_news:
        told = f"nothing stored twice: {text.size(tale.bytes)} were there already, {text.size(stored)} of metrics are new"
    else:
        told = f"logged {text.size(tale.bytes)} in {text.counted(len(tale.logged), 'version')}; what they share is stored once: {text.size(stored)}"
    shell.show(told, "")


def _next(shell: Shell, tale: story.Tale, best: VersionRecord) -> list[str]:
    """Lines that work when they are pasted into this shell."""
    place = shell.settings.place
    home = "" if resolve().place == place else f" --home {shlex.quote(str(place))}"
    variable = f"LINEAGE_HOME={shlex.quote(str(place))} " if home else ""
    model, source = f"{best.project}/ngram-model:best", f"{best.project}/{tale.label}-source:latest"
    if shell.settings.entity:
        model, source = f"{best.entity}/{model}", f"{best.entity}/{source}"
    return [
        f"lineage up {model}{home}",
        f"lineage down {source} --type model{home}",
        f"lineage show {model} --files{home}",
        f"lineage reclaim --plan{home}",
        f"{variable}python -c \"import lineage; print(lineage.Api().artifact('{model}').upstream())\"",
    ]
