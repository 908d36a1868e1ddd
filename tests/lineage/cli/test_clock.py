"""`jobs`: run, list, cron, systemd."""

import shlex
import shutil
import subprocess

import pytest

from tests.lineage.cli.conftest import Caller


@pytest.fixture
def store(lineage: Caller) -> Caller:
    """The command, with something in its store."""
    lineage("put", __file__, "-n", "toys/letter")
    return lineage


def test_jobs_are_done_once_when_they_are_due(store: Caller) -> None:
    """The second runner finds nothing to do; --force does it all the same."""
    first = store("jobs", "run", "--json").json["jobs"]
    assert [("expire", "ok"), ("reclaim", "ok"), ("verify", "ok")] == [(job["name"], job["last_result"]) for job in first]
    again = store("jobs", "run")
    assert (0, True) == (again.code, "nothing is due" in again.out)
    assert ["verify"] == [job["name"] for job in store("jobs", "run", "verify", "--force", "--json").json["jobs"]]


def test_jobs_are_listed_with_what_came_of_them(store: Caller) -> None:
    """How often, when last, when next."""
    assert [None] * 4 == [job["last_result"] for job in store("jobs", "list", "--json").json["jobs"]]
    store("jobs", "run")
    listed = store("jobs", "list", "--json").json["jobs"]
    assert {"expire": 3600, "reclaim": 86_400, "verify": 604_800, "check": 86_400} == {job["name"]: job["every_seconds"] for job in listed}
    assert all(job["next_due"] > job["last_finished"] for job in listed if job["is_on"])
    assert [False] == [job["is_on"] for job in listed if job["last_result"] is None]


def test_a_job_that_finds_damage_fails(store: Caller) -> None:
    """The runner ends with 1, so that cron writes a letter."""
    blob = next(path for path in (store.home / "objects").rglob("*") if path.is_file() and b'"""' in path.read_bytes())
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes().replace(b'"""', b"rot", 1))
    assert 1 == store("jobs", "run", "verify").code
    assert "failed" == store("jobs", "list", "--json").json["jobs"][2]["last_result"]


def test_an_unknown_job_is_refused(store: Caller) -> None:
    """With the names of those there are."""
    ended = store("jobs", "run", "wash")
    assert 2 == ended.code
    assert "expire, reclaim, verify" in ended.err


def test_the_crontab_line_really_runs(store: Caller) -> None:
    """What it calls is this program, for this home, and it ends well."""
    line = store("jobs", "cron", "--json").json["crontab"]
    *clock, call = line.split(" ", 5)
    assert 5 == len(clock)
    words = shlex.split(call.removesuffix(" > /dev/null").replace("\\%", "%"))
    assert ["--home", str(store.home), "jobs", "run"] == words[-4:]
    assert 0 == subprocess.run(words, check=False, timeout=60).returncode


def test_the_units_are_what_systemd_reads(store: Caller) -> None:
    """A service and its timer."""
    units = store("jobs", "systemd", "--json").json["units"]
    assert {"lineage.service", "lineage.timer"} == units.keys()
    assert f'"--home" "{store.home}" "jobs" "run"' in units["lineage.service"]
    assert "Persistent=true" in units["lineage.timer"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_accepts_the_timer(store: Caller) -> None:
    """Its own checker has nothing to say about the calendar."""
    timer = store("jobs", "systemd", "--json").json["units"]["lineage.timer"]
    calendar = next(line.partition("=")[2] for line in timer.splitlines() if line.startswith("OnCalendar"))
    assert 0 == subprocess.run(["systemd-analyze", "calendar", calendar], check=False, capture_output=True).returncode


@pytest.mark.parametrize("span", ["soon", "never", "inherit"])
def test_how_often_is_a_length_of_time(store: Caller, span: str) -> None:
    """What is none is refused by the name of the option, not as a lifetime."""
    ended = store("jobs", "on", "check", "--every", span)
    assert (2, True) == (ended.code, f"--every '{span}'" in ended.err)
