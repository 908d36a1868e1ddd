"""No text of a user becomes SQL: wherever one can be given, hostile text is a value or a typed refusal, and no row too many comes back."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from lineage.actions import create, find, link, record, search, start, update
from lineage.actions.open import Engine, open_engine
from lineage.model.errors import CatalogError, Error, UsageError
from lineage.model.names import ArtifactPath, ProjectPath, RunPath
from storage.errors import StorageError

PAYLOADS = [
    "'",
    '"',
    "`",
    "''",
    '""',
    ";",
    "--",
    "/*",
    "*/",
    "\\",
    "\\'",
    "%",
    "_",
    "?",
    "??",
    "?1",
    ":name",
    "@name",
    "$name",
    "{}",
    "{0}",
    "%s",
    "%(name)s",
    "NULL",
    "TRUE",
    "1",
    "0x31",
    "1e309",
    "' OR '1'='1",
    "' OR 1=1 --",
    '" OR ""="',
    "') OR ('1'='1",
    "')) OR (('1'='1",
    "' OR 1=1 /*",
    "1 OR 1=1",
    "1; DROP TABLE run",
    "'; DROP TABLE run; --",
    "'); DELETE FROM version; --",
    "' UNION SELECT * FROM entity --",
    "' UNION SELECT sql FROM sqlite_schema --",
    "x' AND 1=(SELECT count(*) FROM sqlite_schema) --",
    "' AND randomblob(1000000000) --",
    "(SELECT name FROM entity)",
    "(SELECT load_extension('x'))",
    "CASE WHEN 1 THEN name ELSE id END",
    "name; ATTACH DATABASE '/tmp/x' AS x",
    "name COLLATE NOCASE",
    "name DESC, id",
    "name, (SELECT 1)",
    "1,2,3",
    "rowid",
    "_rowid_",
    "oid",
    "run.id",
    "entity.name",
    "sqlite_schema",
    "state = 'x'",
    "state) OR (1=1",
    "config->>'$.x'",
    "$.x",
    "$[0]",
    "$.",
    "$**",
    "json_extract(config, '$')",
    "LIKE '%'",
    "GLOB '*'",
    "MATCH 'x'",
    "x NEAR/2 y",
    'x"*',
    "REGEXP '.*'",
    ".*",
    "^",
    "[",
    "(",
    "(?i)x",
    "(a+)+$",
    "\\d{1000}",
    "a{1000000}",
    "*",
    "x\0y",
    "\0",
    "\n",
    "\r\nDROP TABLE run",
    "\u2019 OR 1=1",
    "\uff07 OR 1=1",
    "\u02bc; --",
    "\ud800",
    "é",
    "e\u0301",
    "\u202e",
    "💥",
    "a" * 5000,
    "'" * 5000,
    "(" * 2000,
    " ",
]
assert len(PAYLOADS) >= 80

Give = Callable[[Engine, str], object]
DEMO = ProjectPath("demo")


def _filtered(filters: Callable[[str], Any]) -> Give:
    def give(engine: Engine, text: str) -> object:
        found = find.runs(engine, DEMO, filters=filters(text))
        assert find.count_runs(engine, DEMO, filters=filters(text)) == len(found)
        return found

    return give


ENTRANCES: dict[str, Give] = {
    **{
        f"value of {field}": _filtered(lambda text, field=field: {field: text})
        for field in ("name", "state", "tags", "created_at", "sweep", "group", "duration")
    },
    "value of config": _filtered(lambda text: {"config.lr": text}),
    "value of summary": _filtered(lambda text: {"summary_metrics.loss": text}),
    **{f"{op} of name": _filtered(lambda text, op=op: {"name": {op: text}}) for op in ("$gt", "$lt", "$eq", "$regex")},
    **{f"{op} of config": _filtered(lambda text, op=op: {"config.lr": {op: text}}) for op in ("$gt", "$eq", "$regex")},
    **{
        f"$in of {field}": _filtered(lambda text, field=field: {field: {"$in": [text, "zz"]}})
        for field in ("state", "tags", "config.lr", "summary.loss")
    },
    "key of config": _filtered(lambda text: {f"config.{text}": 1}),
    "key of config exists": _filtered(lambda text: {f"config.{text}": {"$exists": True}}),
    "key of summary": _filtered(lambda text: {f"summary_metrics.{text}": {"$gt": 0}}),
    "field": _filtered(lambda text: {text: 1}),
    "operator": _filtered(lambda text: {"state": {text: 1}}),
    "logic": _filtered(lambda text: {text: [{"state": "x"}]}),
    "filters": _filtered(lambda text: text),
    "order within": lambda engine, text: find.runs(engine, DEMO, order=f"-config.{text}", filters={"name": "nobody"}),
    "project": lambda engine, text: find.runs(engine, ProjectPath(text)),
    "entity": lambda engine, text: find.projects(engine, entity=text),
    "entity of a project": lambda engine, text: [find.project(engine, ProjectPath("demo", text))],
    "run": lambda engine, text: [find.run(engine, RunPath(text, "demo"))],
    "sweep": lambda engine, text: [find.sweep(engine, RunPath(text, "demo"))],
    "sweeps": lambda engine, text: find.sweeps(engine, ProjectPath(text)),
    "collection": lambda engine, text: find.versions(engine, ArtifactPath(text, None, "demo")),
    "selector": lambda engine, text: [find.version(engine, ArtifactPath("model", text, "demo"))],
    "tag of versions": lambda engine, text: find.versions(engine, ArtifactPath("model", None, "demo"), tags=[text]),
    "type of collections": lambda engine, text: find.collections(engine, DEMO, text),
    "types": lambda engine, text: find.types(engine, ProjectPath(text)),
    "best metric": lambda engine, text: search.best_of_runs(engine, DEMO, text, "minimize"),
    "goal": lambda engine, text: search.best_of_runs(engine, DEMO, "loss", text),
}
"""Wherever a reader gives text. None of these payloads names anything there is: whatever comes back is a row too many."""

WRITES: dict[str, Give] = {
    "project": lambda engine, text: create.project(engine, ProjectPath(text)),
    "entity": lambda engine, text: create.project(engine, ProjectPath("demo", text)),
    "run": lambda engine, text: start.start_run(engine, start.Opening(DEMO, run=text)),
    "run's words": lambda engine, text: start.start_run(engine, start.Opening(DEMO, name=text, group=text, notes=text, job_type=text)),
    "run's tag": lambda engine, text: start.start_run(engine, start.Opening(DEMO, tags=(text,))),
    "config": lambda engine, text: start.start_run(engine, start.Opening(DEMO, config={text: text})),
    "summary": lambda engine, text: update.update_summary(engine, 1, {text or "x": text}, [text]),
    "recorded name": lambda engine, text: record.record(engine, find.project(engine, DEMO), [record.Recording(logged=[text])]),
    "recorded type": lambda engine, text: record.record(
        engine, find.project(engine, DEMO), [record.Recording(logged=[record.Output("new", text)])]
    ),
    "recorded alias": lambda engine, text: record.record(
        engine, find.project(engine, DEMO), [record.Recording(logged=[record.Output("model", aliases=(text,))])]
    ),
    "used": lambda engine, text: record.record(engine, find.project(engine, DEMO), [record.Recording(used=[text])]),
    "alias": lambda engine, text: update.move_aliases(engine, find.version_by_id(engine, 1), add=[text], remove=[text]),
    "tags": lambda engine, text: update.update_version(
        engine, find.version_by_id(engine, 1), tags=[text], description=text, metadata={text: text}
    ),
    "link": lambda engine, text: link.link_version(engine, find.version_by_id(engine, 1), ArtifactPath(text, None, text), [text]),
    "rename": lambda engine, text: update.update_collection(engine, ArtifactPath("other", None, "demo"), name=text, description=text),
    "protect": lambda engine, text: update.protect_alias(engine, DEMO, text),
    "sweep": lambda engine, text: search.create_sweep(engine, DEMO, {"method": "grid", "parameters": {text: {"values": [text]}}}),
}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A store with two projects that nobody should see the wrong one of."""
    engine = open_engine(tmp_path_factory.mktemp("injection") / "home", entity="ann")
    for name in ("demo", "secret"):
        place = create.project(engine, ProjectPath(name))
        record.record(
            engine,
            place,
            [
                record.Recording(f"r{n}", logged=["model", "other"], config={"lr": 0.5, "opt": "adam"}, summary={"loss": n})
                for n in range(3)
            ],
        )
    yield engine
    engine.close()


@pytest.mark.fault("D14", "M12", "M15")
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_hostile_text_finds_nothing(full: Engine, entrance: str) -> None:
    """Hostile text in any list, filter or look-up finds nothing or is refused with a typed error that is not the catalogue's."""
    for text in PAYLOADS:
        try:
            found = ENTRANCES[entrance](full, text)
        except CatalogError as error:
            pytest.fail(f"{text!r} reached SQL: {error!r}")
        except Error:
            continue
        allowed = 3 if entrance.startswith(("$regex", "$gt", "$lt")) else 0  # text that really matches, or comes before or after
        assert allowed >= len(found or ()), (text, found)  # type: ignore[arg-type]  # a list, or nothing
    assert [] == full.catalog.problems()


@pytest.mark.fault("D14")
@pytest.mark.parametrize("text", PAYLOADS, ids=lambda text: ascii(text)[:30])
def test_hostile_orders_are_refused(full: Engine, text: str) -> None:
    """An order is a field of the list, whatever sign it has; a key of the configuration is only a key."""
    for order in (text, f"+{text}", f"-{text}", f"created_at{text}", f"created_at, {text}", f"state {text}"):
        with pytest.raises(UsageError):
            find.runs(full, DEMO, order=order)
    with suppress(Error):
        assert 3 == len(find.runs(full, DEMO, order=f"-summary_metrics.{text}"))


@pytest.mark.fault("D14")
@pytest.mark.parametrize("page", [(-1, 0), (0, -1), (1.5, 0), ("1; DROP TABLE run", 0), (10, "1"), (10, None), (float("nan"), 0)], ids=repr)
def test_hostile_pages(full: Engine, page: tuple[Any, Any]) -> None:
    """A page is two whole numbers; a negative one would mean all rows to SQLite."""
    with pytest.raises(UsageError, match="limit"):
        find.runs(full, DEMO, limit=page[0], offset=page[1])


@pytest.mark.fault("D14", "I-26", "D12")
@pytest.mark.parametrize("entrance", WRITES)
def test_hostile_text_is_kept_or_refused(full: Engine, entrance: str) -> None:
    """Hostile text that is written is kept as it is or refused with a typed error that is not the catalogue's; the tables stay."""
    for text in [*PAYLOADS, ""]:
        with suppress(StorageError):
            try:
                WRITES[entrance](full, text)
            except CatalogError as error:
                pytest.fail(f"{text!r} reached SQL: {error!r}")
            except Error:
                continue
    assert [] == full.catalog.problems()
    assert ["r0", "r1", "r2"] == [run.name for run in find.runs(full, ProjectPath("secret"))]
