"""The command as a whole: help, options that stand anywhere, errors, pipes."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lineage import __version__ as release
from lineage.cli.complete import artifact_names, project_names
from lineage.cli.main import JOBS, PANELS
from lineage.cli.outcome import EXPLAINED
from tests.lineage.cli.conftest import Caller

COMMANDS = [command.__name__ for commands in PANELS.values() for command in commands]
EVERY = [*([name] for name in COMMANDS), *(["jobs", name] for name in JOBS)]


def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own."""
    command = [sys.executable, "-m", "lineage", *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands_are_the_promised_ones() -> None:
    """No more and no less."""
    assert [
        "demo",
        "init",
        "put",
        "get",
        "ls",
        "show",
        "graph",
        "up",
        "down",
        "diff",
        "runs",
        "best",
        "ttl",
        "hold",
        "protect",
        "expire",
        "reclaim",
        "verify",
        "check",
        "backup",
        "doctor",
    ] == COMMANDS
    assert ["run", "list", "on", "off", "cron", "systemd"] == list(JOBS)


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_every_command_explains_itself(lineage: Caller, command: list[str]) -> None:
    """What it does, what it takes, and an example that names it."""
    ended = lineage(*command, "--help")
    assert 0 == ended.code
    assert "Examples:" in ended.out
    assert f"lineage {' '.join(command)}" in ended.out
    assert "--json" in ended.out


def test_the_help_explains_the_exit_codes(lineage: Caller) -> None:
    """All of them."""
    shown = re.sub(r"\s+", " ", lineage("--help").out)
    assert all(f"{int(code)} {meaning}" in shown for code, meaning in EXPLAINED.items())


def test_no_command_shows_the_help(lineage: Caller) -> None:
    """It is a wrong call and a helpful one."""
    for ended in (lineage(), lineage("jobs")):
        assert 2 == ended.code
        assert "Usage: lineage" in ended.out + ended.err
        assert "error:" not in ended.err


@pytest.mark.parametrize("arguments", [["--home", "{other}", "--json", "ls"], ["ls", "--home", "{other}", "--json"]])
def test_common_options_stand_anywhere(lineage: Caller, tmp_path: Path, arguments: list[str]) -> None:
    """Before the command or behind it, and both win over the environment."""
    lineage("put", __file__, "-n", "there/letter", "--home", tmp_path / "other")
    ended = lineage(*(each.format(other=tmp_path / "other") for each in arguments))
    assert ["there"] == [project["project"] for project in ended.json["projects"]]


@pytest.mark.parametrize("arguments", [["nonsense"], ["ls", "--nonsense"], ["put"], ["runs", "--limit", "0"], ["best", "x", "-g", "up"]])
def test_a_wrong_call_is_told_in_two_lines(lineage: Caller, arguments: list[str]) -> None:
    """Error and hint on standard error, nothing on standard output, exit code 2."""
    ended = lineage(*arguments)
    assert (2, "") == (ended.code, ended.out)
    assert ["error:", "hint:"] == [line.split()[0] for line in ended.err.splitlines()]


def test_an_error_is_json_when_json_is_asked_for(lineage: Caller) -> None:
    """On standard error, with the code that programs rely on; a wrong call too."""
    assert "not_found" == json.loads(lineage("ls", "--json").err)["error"]["code"]
    assert "usage" == json.loads(lineage("ls", "--nonsense", "--json").err)["error"]["code"]


def test_a_traceback_is_for_those_who_ask(lineage: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """LINEAGE_DEBUG lets the error through."""
    monkeypatch.setenv("LINEAGE_DEBUG", "1")
    with pytest.raises(LookupError):
        lineage("ls")


def test_interruption_has_its_code(lineage: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130 and no traceback."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lineage.cli.shell.open_engine", interrupted)
    ended = lineage("ls")
    assert (130, "error: interrupted\n") == (ended.code, ended.err)


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    "arguments",
    [
        "ls", "ls vision", "ls vision/net", "show vision/net:best", "show vision/one", "graph", "graph vision", "graph vision/net:best",
        "up vision/net:best", "down vision/raw:v0", "runs vision", "best vision -m loss", "expire --plan", "reclaim --plan", "verify", "check",
        "ttl vision", "ttl vision/net:best", "ttl vision 9d -t model", "hold vision/net", "protect vision", "ls vision/net --history",
        "jobs list", "jobs run", "jobs on check", "jobs off check", "jobs cron", "jobs systemd",
    ],
)  # fmt: skip
def test_every_answer_is_also_one_document(lineage: Caller, arguments: str) -> None:
    """With --json standard output is one JSON object and nothing else, and people get something to read."""
    ended = lineage(*shlex.split(arguments), "--json")
    assert (0, "") == (ended.code, ended.err)
    assert isinstance(ended.json, dict)
    assert lineage(*shlex.split(arguments)).out.strip()


@pytest.mark.usefixtures("history")
def test_a_pipe_gets_plain_whole_lines(lineage: Caller) -> None:
    """No colour, no frames, and nothing is cut however long it is."""
    name = "n" * 100
    lineage("put", __file__, "-n", f"vision/{name}", "-a", "a" * 100)
    shown = lineage("ls", "vision").out
    assert "\x1b" not in shown
    assert any(name in line and "a" * 100 in line for line in shown.splitlines())


def test_a_reader_that_goes_away_is_no_defect(lineage: Caller) -> None:
    """`lineage ls | head` ends quietly."""
    lineage("put", Path(__file__).parent.parent.parent, "-n", "toys/many")
    listing = subprocess.Popen([sys.executable, "-m", "lineage", "ls", "toys/many:latest"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert listing.stdout is not None
    listing.stdout.close()
    _, err = listing.communicate(timeout=60)
    assert (0, b"") == (listing.returncode, err)


def test_the_help_shows_the_grammar_of_names(lineage: Caller) -> None:
    """Brackets included: they say what may be left out."""
    assert "[entity/]project" in lineage("runs", "--help").out
    assert "[entity/][project/]name" in re.sub(r"\s+", " ", lineage("put", "--help").out)


def test_a_terminal_without_the_characters_still_gets_an_answer(lineage: Caller) -> None:
    """In an old locale a drawing shows the numbers of its characters; it is no defect."""
    lineage("put", __file__, "-n", "toys/letter")
    ended = call("graph", "toys", PYTHONIOENCODING="ascii")
    assert (0, "") == (ended.returncode, ended.stderr)
    assert "\\u25a0 letter:v0" in ended.stdout


def test_python_m_lineage_is_the_command() -> None:
    """The module and the installed program are one."""
    ended = call("--help")
    assert (0, True) == (ended.returncode, "Usage: lineage" in ended.stdout)


@pytest.mark.usefixtures("history")
def test_tab_completes_names_from_the_store() -> None:
    """Projects, artifacts with their project, and after a colon the versions and aliases; the shell is really told."""
    assert ["vision"] == project_names("vi")
    assert {"vision/net", "vision/raw"} <= set(artifact_names("vision/"))
    assert {"vision/net:best", "vision/net:latest", "vision/net:v0", "vision/net:v1"} == set(artifact_names("vision/net:"))
    ended = call(_LINEAGE_COMPLETE="complete_bash", COMP_WORDS="lineage up vision/n", COMP_CWORD="2")
    assert ["vision/net"] == ended.stdout.split()


def test_completion_of_an_absent_store_is_silent(lineage: Caller) -> None:
    """Nothing is offered, nothing is raised, no store is made."""
    assert ([], []) == (project_names(""), artifact_names("x:"))
    assert not lineage.home.exists()


def test_looking_loads_no_network(lineage: Caller) -> None:
    """`lineage ls` has no use for S3, HTTP or networkx, and does not wait for them to load."""
    lineage("put", __file__, "-n", "toys/letter")
    code = "import sys; from lineage.cli.main import main; main(['ls']); print([m for m in ('s3fs', 'botocore', 'networkx') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "[]" == ended.stdout.splitlines()[-1]


def test_the_release_is_told(lineage: Caller) -> None:
    """As every program does."""
    ended = lineage("--version")
    assert (0, f"lineage {release}\n") == (ended.code, ended.out)


def test_a_wrong_call_is_sent_to_the_help_that_fits(lineage: Caller) -> None:
    """That of the command, where there is one."""
    assert "hint: 'lineage jobs on --help'" in lineage("jobs", "on").err
    assert "hint: 'lineage put --help'" in lineage("put", "--colour").err
    assert "hint: 'lineage --help'" in lineage("wash").err
