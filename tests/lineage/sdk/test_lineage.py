"""Questions about lineage, asked of handles."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lineage.errors import UsageError

Write = Callable[..., str]


@pytest.fixture
def chain(wandb: ModuleType, write: Write) -> dict[str, Any]:
    """raw → clean → model, and a report made from raw alone: artifacts and runs by name."""
    made: dict[str, Any] = {}
    for name, kind, used in (
        ("raw", "source", []),
        ("clean", "dataset", ["raw"]),
        ("model", "model", ["clean"]),
        ("report", "text", ["raw"]),
    ):
        with wandb.init(project="shop", id=f"make-{name}", job_type=name) as run:
            for each in used:
                run.use_artifact(each)
            artifact = wandb.Artifact(name, type=kind)
            artifact.add_file(write("f", name))
            made[name] = run.log_artifact(artifact)
            made[f"make-{name}"] = run
    return made


def names(page: Any) -> list[str]:
    return [each.name.removesuffix(":v0") for each in page]


def ids(page: Any) -> list[str]:
    return [each.id for each in page]


def test_upstream_is_everything_it_was_made_from(chain: dict[str, Any]) -> None:
    """Artifacts oldest first, runs, edges, and that this is all."""
    answer = chain["model"].upstream()
    assert (["raw", "clean"], ["make-raw", "make-clean", "make-model"]) == (names(answer.artifacts), ids(answer.runs))
    assert (True, 5, 5, 0) == (answer.complete, len(answer), len(answer.edges), len(answer.frontier))
    assert [(1, 1, 1), (2, 1, 1), (3, 0, 1)] == [(level.depth, level.versions, level.runs) for level in answer.levels]
    assert chain["raw"] in answer
    assert chain["make-clean"] in answer
    assert chain["report"] not in answer


def test_downstream_is_everything_made_from_it(chain: dict[str, Any]) -> None:
    """Of an artifact and of a run, live or past."""
    assert ["clean", "model", "report"] == names(chain["raw"].downstream().artifacts)
    for run in (chain["make-clean"], chain["clean"].logged_by()):
        assert (["clean", "model"], ["raw"]) == (names(run.downstream().artifacts), names(run.upstream().artifacts))
    assert not chain["report"].downstream()


def test_an_answer_that_stops_says_where(chain: dict[str, Any]) -> None:
    """By depth, by type, by a rule of one's own: not complete, and the frontier is where to go on."""
    for limits in ({"depth": 1}, {"until": ["dataset"]}, {"until": "dataset"}, {"stop": lambda artifact: artifact.type == "dataset"}):
        answer = chain["model"].upstream(**limits)
        assert (["clean"], False, ["clean"]) == (names(answer.artifacts), answer.complete, names(answer.frontier))
    assert "not complete" in repr(chain["model"].upstream(depth=1))
    assert ["raw"] == names(chain["model"].upstream(depth=1).frontier[0].upstream().artifacts)
    with pytest.raises(UsageError, match="depth 0"):
        chain["model"].upstream(depth=0)


def test_an_answer_draws_itself(chain: dict[str, Any]) -> None:
    """As text in a terminal, as SVG in a notebook."""
    answer = chain["model"].upstream()
    text = str(answer)
    assert ["model:v0", "clean:v0", "raw:v0"] == [name for name in ("model:v0", "clean:v0", "raw:v0") if name in text]
    assert "report" not in text
    assert answer._repr_html_().startswith("<svg")
    assert "clean:v0" in answer.svg(title="why")


def test_the_graph_of_a_project_answers_too(wandb: ModuleType, chain: dict[str, Any]) -> None:
    """A way between two nodes, what lies between them, ends, other programs' form."""
    graph = wandb.Api().graph("shop")
    assert (8, 4, 4) == (len(graph), len(graph.dag.versions), len(graph.dag.runs))
    way = graph.path(chain["raw"], chain["model"])
    assert ["raw:v0", "make-clean", "clean:v0", "make-model", "model:v0"] == [getattr(each, "name", each.id) for each in way]
    assert [] == graph.path(chain["report"], chain["model"])
    between = graph.between(chain["raw"], chain["model"])
    assert (5, True, False) == (len(between), chain["clean"] in between, chain["report"] in between)
    assert 0 == len(graph.between(chain["report"], chain["model"]))
    assert {"make-raw"} == {each.id for each in graph.roots}
    assert {"model", "report"} == set(names(graph.leaves))
    exported = graph.to_networkx()
    assert (8, 7) == (exported.number_of_nodes(), exported.number_of_edges())
    assert "raw:v0" in {data["label"] for _, data in exported.nodes(data=True)}
    assert graph._repr_svg_().startswith("<svg")
    assert "make-report" in graph.text()
    assert 8 == len(wandb.Api().graph(everything=True))
    with pytest.raises(UsageError, match="is no node"):
        graph.path("raw", "model")


def test_using_is_recorded_once(wandb: ModuleType, chain: dict[str, Any]) -> None:
    """Twice in one run is one edge; downloading through `Api` is none."""
    with wandb.init(project="shop", id="reader") as run:
        run.use_artifact("raw:latest")
        assert chain["raw"].id == run.use_artifact(chain["raw"], type="source").id
        with pytest.raises(ValueError, match="of type 'source'"):
            run.use_artifact("raw", type="model")
        with pytest.raises(ValueError, match="an artifact or its name"):
            run.use_artifact(7)
        assert ["raw"] == names(run.used_artifacts())
    wandb.Api().artifact("shop/clean").download()
    assert ["make-clean", "make-report", "reader"] == ids(chain["raw"].used_by())
    assert ["make-model"] == ids(chain["clean"].used_by())


def test_a_draft_that_is_used_is_logged_by_nobody(wandb: ModuleType, write: Write) -> None:
    """It is there for the run to use, and no run made it."""
    with wandb.init(project="shop") as run:
        given = wandb.Artifact("given", type="dataset")
        given.add_file(write("f"))
        assert given is run.use_artifact(given, aliases=["mine"])
        assert ([], ["given"]) == (names(run.logged_artifacts()), names(run.used_artifacts()))
    assert (None, []) == (given.logged_by(), given.logged_by(all=True))
    assert {"mine", "latest"} == set(given.aliases)


@pytest.mark.usefixtures("chain")
def test_deleting_does_not_cut_the_lineage(wandb: ModuleType) -> None:
    """A deleted version and a deleted run stay nodes of the graph."""
    wandb.Api().artifact("shop/clean").delete()
    wandb.Api().run("shop/make-model").delete()
    answer = wandb.Api().artifact("shop/model").upstream()
    assert ["raw", "clean"] == names(answer.artifacts)
    assert ["COMMITTED", "DELETED"] == [each.state for each in answer.artifacts]


def test_source_files_of_a_program_are_logged(wandb: ModuleType, write: Write, tmp_path: Path) -> None:
    """Python files, requirements and Dockerfiles below the root, or what functions choose; nothing found is said."""
    for name in ("proj/a.py", "proj/sub/b.py", "proj/requirements.txt", "proj/data.bin", "proj/.git/c.py", "proj/__pycache__/d.py"):
        write(name)
    with wandb.init(project="shop") as run:
        code = run.log_code(tmp_path / "proj")
        assert ("code", ["a.py", "requirements.txt", "sub/b.py"]) == (code.type, list(code.manifest))
        assert code.name.startswith("source-shop-")
        chosen = run.log_code(
            tmp_path / "proj",
            name="chosen",
            include_fn=lambda path, root: path.startswith(root) and path.endswith((".py", ".bin")),
            exclude_fn=lambda path: "sub" in path,
        )
        assert ["a.py", "data.bin"] == list(chosen.manifest)
        assert run.log_code(tmp_path / "proj", include_fn=lambda path: path.endswith(".none")) is None
