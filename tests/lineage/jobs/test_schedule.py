"""What is told to this machine's clock."""

import shlex
from pathlib import Path

from lineage.jobs.schedule import crontab, units

ODD = Path("/srv/my store/50% off/$HOME 'x' \"y\"")


def test_cron_is_given_an_odd_path_whole() -> None:
    """Quoted for the shell that cron starts, and `%` for cron itself, to which it means a newline."""
    line = crontab(["/usr/bin/lineage"], ODD)
    assert 1 == len(line.splitlines())
    assert "%" not in line.replace("\\%", "")
    assert str(ODD) in shlex.split(line.replace("\\%", "%"))


def test_systemd_is_given_an_odd_path_whole() -> None:
    """Quoted by its own rules: backslashes, quotes, specifiers and variables are doubled or escaped."""
    start = next(line for line in units(["/usr/bin/lineage"], ODD)["lineage.service"].splitlines() if line.startswith("ExecStart"))
    assert '"/srv/my store/50%% off/$$HOME \'x\' \\"y\\""' in start
