"""Where a wish comes from, and which one wins."""

from pathlib import Path

import pytest

from lineage.errors import UsageError
from lineage.sdk.settings import Settings, resolve


def test_arguments_win_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Value by value: argument, LINEAGE_*, WANDB_*, the file."""
    (tmp_path / "lineage.toml").write_text('entity = "file"\nproject = "file"\nrun_name = "file"\nrun_group = "file"\n')
    monkeypatch.setenv("WANDB_PROJECT", "wandb")
    monkeypatch.setenv("WANDB_NAME", "wandb")
    monkeypatch.setenv("WANDB_RUN_GROUP", "wandb")
    monkeypatch.setenv("LINEAGE_NAME", "lineage")
    monkeypatch.setenv("LINEAGE_RUN_GROUP", "lineage")
    found = resolve(None, {"run_group": "argument"})
    assert ("file", "wandb", "lineage", "argument") == (found.entity, found.project, found.run_name, found.run_group)


def test_stated_settings_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Settings` or a dictionary; what it leaves out comes from elsewhere."""
    monkeypatch.setenv("WANDB_PROJECT", "env")
    monkeypatch.setenv("WANDB_ENTITY", "env")
    assert ("mine", "env") == (resolve(Settings(project="mine")).project, resolve(Settings(project="mine")).entity)
    assert "mine" == resolve({"project": "mine"}).project


def test_the_users_own_file_is_read_where_there_is_none_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory's file hides the user's."""
    monkeypatch.setenv("LINEAGE_CONFIG_DIR", str(tmp_path / "user"))
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "lineage.toml").write_text('project = "user"\n')
    assert "user" == resolve().project
    (tmp_path / "lineage.toml").write_text("quiet = true\n")
    assert None is resolve().project


def test_empty_variables_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`WANDB_PROJECT=` is as if it were not set."""
    monkeypatch.setenv("WANDB_PROJECT", "")
    assert "uncategorized" == resolve().default_project


@pytest.mark.parametrize(("given", "kept"), [("dryrun", "offline"), ("run", "online"), ("shared", "shared"), (None, "online")])
def test_old_modes_keep_their_meaning(given: str | None, kept: str) -> None:
    """`dryrun` and `run` are the old words."""
    assert kept == Settings(mode=given).mode  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "kept"), [(None, "default"), (True, "finish_previous"), (False, "return_previous"), ("create_new", "create_new")]
)
def test_reinit_may_be_a_boolean(given: object, kept: str) -> None:
    """The old booleans have names now."""
    assert kept == Settings(reinit=given).reinit  # type: ignore[arg-type]


def test_tags_come_as_a_list_or_with_commas() -> None:
    """The environment can only say text."""
    assert ("a", "b") == Settings(run_tags="a, b").run_tags == Settings(run_tags=["a", "b"]).run_tags  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"mode": "sometimes"}, {"reinit": "perhaps"}, {"quiet": "loud"}])
def test_what_cannot_be_is_refused_with_its_name(wrong: dict[str, str]) -> None:
    """The error names the setting and the value."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        resolve(wrong)
    with pytest.raises(UsageError, match=r"must be lineage\.Settings"):
        resolve(7)  # type: ignore[arg-type]


def test_settings_of_the_wandb_client_are_accepted() -> None:
    """Scripts pass many that have no meaning here."""
    Settings(init_timeout=300, console="off", start_method="thread")  # type: ignore[call-arg]


def test_a_broken_settings_file_is_named(tmp_path: Path) -> None:
    """With its path and what is wrong."""
    (tmp_path / "lineage.toml").write_text("project = \n")
    with pytest.raises(UsageError, match=r"lineage\.toml is not a settings file"):
        resolve()
