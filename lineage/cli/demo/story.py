"""The demonstration, told with the public interface alone: every line that touches the store is one a user could write.

    collect ──▶ source ──▶ prepare ──▶ clean ──▶ 8 × train ──▶ checkpoints, models ──▶ evaluate ──▶ report
                                                                     reference (pinned, not copied) ──┘

Nothing in it is drawn at random or from the clock, so a second telling on an unchanged tree logs the same bytes, and the store answers
with the versions it has. Each step returns the sentence that tells what it did.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import lineage
from lineage.cli.demo import corpus
from lineage.cli.demo.corpus import Selection
from lineage.cli.demo.model import Model, count, parse_counts

SWEEP: dict[str, Any] = {
    "name": "order-and-smoothing",
    "method": "grid",
    "metric": {"name": "perplexity", "goal": "minimize"},
    "parameters": {"order": {"values": [2, 3, 4, 5]}, "smoothing": {"values": [0.2, 0.4]}},
}
CHUNKS = 4
"""Parts the training text is counted in; after each the model is measured, after half and after all of them it is kept."""
SAMPLE = 20_000
"""Characters of validation text that are read to measure a model on the way."""
EXAM = 100_000
"""Characters the best model is examined on."""
SHORT = timedelta(seconds=1)
"""How long the first checkpoint is kept."""


@dataclass
class Tale:
    """What the steps share: the tree to learn from, a directory to work in, and what has been logged so far."""

    tree: Selection
    pinned: tuple[Path, ...]
    project: str
    label: str
    scratch: Path
    sweep: str = ""
    logged: list[lineage.Artifact] = field(default_factory=list)
    is_old_news: bool = True
    """Was every version logged so far there before? A checkpoint is new again after it expired; its bytes need not be."""

    @property
    def bytes(self) -> int:
        """What everything logged stands for, what is only pinned left out."""
        return sum(artifact.size for artifact in self.logged if artifact.type != "reference")

    def log(self, run: lineage.Run, artifact: lineage.Artifact, *aliases: str) -> lineage.Artifact:
        version: lineage.Artifact = run.log_artifact(artifact, aliases=list(aliases)).wait()
        self.logged.append(version)
        self.is_old_news &= version.type == "checkpoint" or version.logged_by().id != run.id
        return version

    def fetch(self, artifact: lineage.Artifact) -> Path:
        """A directory with the artifact's files; the same content is fetched once."""
        return Path(artifact.download(root=self.scratch / artifact.digest.rpartition(":")[2]))


def collect(tale: Tale) -> str:
    """Log the tree as it is, and pin a few large files outside the store without copying them."""
    with lineage.init(project=tale.project, job_type="collect", name=f"read-{tale.label}", config={"selection": tale.tree.how}) as run:
        source = lineage.Artifact(f"{tale.label}-source", type="dataset", description=tale.tree.how)
        for path in tale.tree.files:
            source.add_file(path, name=tale.tree.name(path), policy="immutable")
        source = tale.log(run, source)

        prose = lineage.Artifact("prose", type="reference", description="text that is no program, pinned where it is")
        for path in tale.pinned:
            prose.add_reference(path.as_uri(), name=path.name)
        prose = tale.log(run, prose)
    return f"{source.name} holds {source.file_count} files; {prose.name} pins {prose.file_count} without a copy"


def prepare(tale: Tale) -> str:
    """Strip comments and blank lines, drop what is there twice, split."""
    with lineage.init(
        project=tale.project, job_type="prepare", name="strip-and-split", config={"validation": f"1 in {corpus.VALIDATION} files"}
    ) as run:
        root = tale.fetch(run.use_artifact(f"{tale.label}-source:latest"))
        cleaned = ((name, corpus.clean(data)) for name, data in _files(root))
        texts = dict(corpus.distinct((name, text) for name, text in cleaned if text is not None))

        clean = lineage.Artifact(f"{tale.label}-clean", type="dataset", metadata={"characters": sum(map(len, texts.values()))})
        for name, text in texts.items():
            with clean.new_file(f"{corpus.side(name)}/{name}") as file:
                file.write(text)
        clean = tale.log(run, clean)
    held_out = sum(corpus.side(name) == "validation" for name in texts)
    return f"{clean.name} holds {len(texts) - held_out} files to train on and {held_out} to validate with"


def search(tale: Tale) -> Iterator[str]:
    """Train a model for every point of the grid."""
    tale.sweep = lineage.sweep(SWEEP, project=tale.project)
    while True:
        done: list[str] = []
        lineage.agent(tale.sweep, function=lambda: done.append(_train(tale)), project=tale.project, count=1)  # noqa: B023  # called at once
        if not done:
            return
        yield done[0]


def _train(tale: Tale) -> str:
    with lineage.init(project=tale.project, job_type="train") as run:
        order, smoothing = run.config["order"], run.config["smoothing"]
        run.name = f"order-{order}-smoothing-{smoothing}"
        root = tale.fetch(run.use_artifact(f"{tale.label}-clean:latest"))
        texts = [data.decode() for _, data in _files(root / "train")]
        sample = _read(root / "validation")[:SAMPLE]

        counts: Counter[str] = Counter()
        for chunk in range(1, CHUNKS + 1):
            for text in texts[chunk - 1 :: CHUNKS]:
                counts.update(count(text, order))
            model = Model(order, smoothing, counts)
            perplexity = model.perplexity(sample)
            run.log({"perplexity": perplexity, "ngrams": len(counts), "characters": counts.total()})
            if chunk == CHUNKS // 2:
                first = not any(artifact.type == "checkpoint" for artifact in tale.logged)
                tale.log(run, _packed("ngram-checkpoint", "checkpoint", model, ttl=SHORT if first else None), "halfway")
        tale.log(run, _packed("ngram-checkpoint", "checkpoint", model), "complete")
        version = tale.log(run, _packed("ngram-model", "model", model))
    return f"order {order}, smoothing {smoothing}: perplexity {perplexity:.3f}, {version.name}"


def _packed(name: str, kind: str, model: Model, ttl: timedelta | None = None) -> lineage.Artifact:
    """A model as an artifact: the numbers that say how to read the counts, and the counts, which several models may share."""
    artifact = lineage.Artifact(name, type=kind, metadata={"order": model.order, "smoothing": model.smoothing})
    with artifact.new_file("model.json") as file:
        json.dump({"order": model.order, "smoothing": model.smoothing}, file, sort_keys=True)
    with artifact.new_file("counts.json.z", mode="wb") as file:
        file.write(model.packed)
    if ttl is not None:
        artifact.ttl = ttl
    return artifact


def choose(tale: Tale) -> str:
    """Ask the sweep for its best run, and that run for its model."""
    api = lineage.Api()
    run = api.sweep(f"{tale.project}/{tale.sweep}").best_run()
    if run is None:
        raise lineage.Error(f"no run of sweep {tale.sweep} was measured: 'lineage runs {tale.project}' says what became of them")
    model = next(artifact for artifact in run.logged_artifacts() if artifact.type == "model")
    model.aliases.append("best")
    model.save()
    return f"{model.name} is 'best' now: perplexity {run.summary['perplexity']:.3f}, made by {run.name}"


def evaluate(tale: Tale) -> str:
    """Examine the best model on much more validation text, and on text of another kind."""
    with lineage.init(project=tale.project, job_type="evaluate", name="measure-best") as run:
        model = _unpacked(tale.fetch(run.use_artifact("ngram-model:best")))
        validation = _read(tale.fetch(run.use_artifact(f"{tale.label}-clean:latest")) / "validation")
        prose = _read(tale.fetch(run.use_artifact("prose:latest")))
        found = {"on_programs": model.perplexity(validation[:EXAM]), "on_prose": model.perplexity(prose[:EXAM])}
        run.log(found)

        report = lineage.Artifact("report", type="report", metadata=found)
        with report.new_file("report.json") as file:
            json.dump(found, file, indent=1, sort_keys=True)
        with report.new_file("sample.txt") as file:
            file.write(model.write(600, seed=1))
        report = tale.log(run, report)
    return f"{report.name}: perplexity {found['on_programs']:.3f} on programs, {found['on_prose']:.3f} on prose"


def _unpacked(root: Path) -> Model:
    stated = json.loads((root / "model.json").read_text())
    return Model(stated["order"], stated["smoothing"], parse_counts((root / "counts.json.z").read_bytes()))


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file below `root`, in name order."""
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        yield path.relative_to(root).as_posix(), path.read_bytes()


def _read(root: Path) -> str:
    return "".join(data.decode(errors="replace") for _, data in _files(root))


Step = Callable[[Tale], "str | Iterator[str]"]
STEPS: dict[str, Step] = {
    "collect": collect,
    "prepare": prepare,
    "search": search,
    "choose": choose,
    "evaluate": evaluate,
}
"""The story in order: a step returns what it did, or tells it bit by bit."""
