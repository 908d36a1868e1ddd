"""`runs` and `best`."""

import pytest

from lineage.actions.finish import finish_run
from lineage.actions.open import Engine
from lineage.actions.search import create_sweep, next_configuration
from lineage.actions.start import Opening, start_run
from lineage.model.names import ProjectPath
from tests.lineage.cli.conftest import Caller

pytestmark = pytest.mark.usefixtures("history")


def names(lineage: Caller, *arguments: str) -> list[str]:
    return [run["id"] for run in lineage("runs", *arguments, "--json").json["runs"]]


def test_runs_are_filtered_and_ordered(lineage: Caller) -> None:
    """By the dialect users know, best first."""
    assert ["one", "two"] == names(lineage, "vision", "--filter", '{"job_type": "train"}', "--order", "+summary_metrics.loss")
    assert ["one"] == names(lineage, "vision", "--filter", '{"summary_metrics.loss": {"$lt": 0.15}}')
    assert ["two"] == names(lineage, "vision", "--order", "-summary_metrics.loss", "--limit", "1")


def test_runs_show_their_metrics(lineage: Caller) -> None:
    """A column for what most of them measured."""
    head, *lines = lineage("runs", "vision", "--filter", '{"job_type": "train"}').words
    assert "loss" == head[-1]
    assert {"0.1", "0.2"} == {line[-1] for line in lines}


@pytest.mark.parametrize("text", ["{", '{"nosuchfield": 1}', '{"state": {"$where": 1}}', "[]"])
@pytest.mark.fault("M12", "M15")
def test_a_filter_outside_the_grammar_is_refused(lineage: Caller, text: str) -> None:
    """Nothing is evaluated, nothing is quietly ignored."""
    assert 2 == lineage("runs", "vision", "--filter", text).code


def test_the_best_run_of_a_project(lineage: Caller) -> None:
    """Either end of a metric, with what the run made; a metric nobody has is a no."""
    answer = lineage("best", "vision", "--metric", "loss", "--json").json
    assert ("one", 0.1, ["me/vision/net:v0"]) == (answer["run"]["id"], answer["value"], answer["logged"])
    assert "two" == lineage("best", "vision", "-m", "loss", "-g", "maximize", "--json").json["run"]["id"]
    assert (1, None) == ((ended := lineage("best", "vision", "-m", "nothing", "--json")).code, ended.json["run"])
    assert 2 == lineage("best", "vision").code
    assert 1 == lineage("best", "nowhere", "-m", "loss").code


def test_the_best_run_of_a_sweep(lineage: Caller, engine: Engine) -> None:
    """The sweep knows its metric and goal."""
    place = ProjectPath("vision", "me")
    config = {"method": "grid", "metric": {"name": "score", "goal": "maximize"}, "parameters": {"x": {"values": [1, 3, 2]}}}
    sweep = create_sweep(engine, place, config)
    while (given := next_configuration(engine, sweep)) is not None:
        run = start_run(engine, Opening(place, f"x{given['x']}", config=given, sweep=sweep.name)).run
        finish_run(engine, run.id, summary={"score": given["x"]})
    assert ("x3", 3) == ((answer := lineage("best", f"vision/sweeps/{sweep.name}", "--json").json)["run"]["id"], answer["value"])
