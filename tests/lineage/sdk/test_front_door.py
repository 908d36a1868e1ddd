"""`import lineage` is cheap, complete, and follows the current run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lineage

ROOT = Path(__file__).parents[3]
HEAVY = (
    "s3fs",
    "fsspec",
    "networkx",
    "sqlite_utils",
    "sqlite3",
    "typer",
    "fastapi",
    "httpx",
    "pydantic",
    "pandas",
    "numpy",
    "rich",
    "yaml",
)


def python(code: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that runs `code` in `cwd`, which stands first on its path."""
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(cwd), str(ROOT)]), **environ}
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, env=surroundings, capture_output=True, text=True, check=False, timeout=60)


def test_importing_loads_nothing_heavy(tmp_path: Path) -> None:
    """A fresh interpreter that imports the package has loaded no database, no network and no validation library."""
    done = python(f"import sys, lineage, lineage.model.edge; print([m for m in {HEAVY} if m in sys.modules])", tmp_path)
    assert "[]\n" == done.stdout, done.stderr


def test_starting_a_run_loads_no_network_and_no_graph_library(tmp_path: Path) -> None:
    """What only references, drawings and progress bars need is not loaded by a script that needs none of them."""
    code = "import sys, lineage; lineage.init().log({'a': 1}); print([m for m in ('s3fs', 'fsspec', 'networkx', 'httpx', 'typer', 'rich', 'yaml') if m in sys.modules])"
    done = python(code, tmp_path)
    assert "[]\n" == done.stdout, done.stderr


def test_every_public_name_is_there() -> None:
    """Each name in `__all__` resolves, and names the W&B client offers are among them."""
    for name in lineage.__all__:
        getattr(lineage, name)
    wanted = {
        "init",
        "run",
        "log",
        "config",
        "summary",
        "finish",
        "Artifact",
        "ArtifactTTL",
        "Api",
        "sweep",
        "agent",
        "Settings",
        "Table",
        "Image",
        "Html",
    }
    assert wanted <= set(lineage.__all__)
    assert set(dir(lineage)) == set(lineage.__all__)


def test_the_version_is_the_distributions() -> None:
    """`__version__` is what pyproject states."""
    stated = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert stated is not None
    assert stated[1] == lineage.__version__


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The door says which name it has not."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = lineage.nonsense


def test_a_foreign_storage_module_is_named(tmp_path: Path) -> None:
    """A file `storage.py` beside the script shadows our package: the import error says which file, and what to do."""
    (tmp_path / "storage.py").write_text("Blob = None\n")
    done = python("import lineage", tmp_path)
    assert "ImportError" in done.stderr
    assert str(tmp_path / "storage.py") in done.stderr
    assert "rename that file" in done.stderr


def test_run_config_and_summary_follow_the_current_run() -> None:
    """`lineage.run` is None, then the run, then None; `config` and `summary` are that run's."""
    assert lineage.run is None
    run = lineage.init(config={"lr": 0.1})
    assert run is lineage.run
    assert 0.1 == lineage.config.lr
    lineage.log({"loss": 1.5})
    assert 1.5 == lineage.summary["loss"]
    lineage.finish()
    assert lineage.run is None


@pytest.mark.parametrize("name", ["log", "log_artifact", "use_artifact", "log_model", "define_metric", "alert"])
def test_verbs_before_init_say_what_to_do(name: str) -> None:
    """Without a run every verb is refused with the next step."""
    with pytest.raises(lineage.Error, match=r"call lineage\.init\(\)"):
        getattr(lineage, name)({})


def test_config_and_summary_before_init_say_what_to_do() -> None:
    """Reading and writing them is refused, looking at them is not."""
    for proxy in (lineage.config, lineage.summary):
        with pytest.raises(lineage.Error, match=r"call lineage\.init"):
            _ = proxy.lr
        with pytest.raises(lineage.Error, match=r"call lineage\.init"):
            proxy.lr = 1
        with pytest.raises(lineage.Error, match=r"call lineage\.init"):
            _ = proxy["lr"]
        assert "no run is active" in repr(proxy)


def test_the_error_door_has_both_trees() -> None:
    """People write `from wandb.errors import CommError`; ours has every error this program raises."""
    from lineage import errors
    from lineage.model import errors as meaning
    from storage import errors as bytes_

    for room in (meaning, bytes_):
        raised = {name for name, value in vars(room).items() if isinstance(value, type) and issubclass(value, Exception)}
        assert set() == raised - set(errors.__all__)
    assert errors.AuthenticationError is errors.Denied


def test_charts_are_refused_with_what_is_offered() -> None:
    """`lineage.plot.line` is there to say what to log instead."""
    with pytest.raises(lineage.UsageError, match="Table"):
        lineage.plot.line(None, "x", "y")


def test_small_helpers_scripts_take_from_util() -> None:
    """`generate_id` draws eight characters, `make_artifact_name_safe` bends text into a name."""
    assert re.fullmatch("[a-z0-9]{8}", lineage.util.generate_id())
    assert "a_b" == lineage.util.make_artifact_name_safe("a b")
    assert lineage.data_types.Table is lineage.Table


def test_login_setup_and_teardown_are_accepted(tmp_path: Path) -> None:
    """An embedded store needs none of them; teardown finishes what is live."""
    assert lineage.login() is True
    assert str(tmp_path) == str(lineage.setup({"root_dir": tmp_path}).directory)
    run = lineage.init()
    lineage.teardown()
    assert lineage.run is None
    assert "finished" == lineage.Api().run(run.path).state


def test_what_is_not_offered_names_what_is() -> None:
    """`attach`, `controller`, `save`, `restore` say where to go."""
    from lineage.errors import UnsupportedError

    run = lineage.init()
    for call in (
        lineage.attach,
        lineage.controller,
        lineage.save,
        lineage.restore,
        lineage.plot_table,
        run.upsert_artifact,
        run.finish_artifact,
    ):
        with pytest.raises(UnsupportedError, match="not offered"):
            call("x")
