"""The laws that keep the house standing, read off the syntax tree. A broken law names the line that breaks it."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OWN = ("storage", "lineage")
NOUNS = ("storage/*.py", "lineage/model/*.py")
# fmt: off
PURE = frozenset({
    "__future__", "abc", "array", "ast", "bisect", "collections", "contextlib", "dataclasses", "datetime", "decimal", "enum", "fnmatch",
    "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "os", "random", "re", "secrets", "statistics",
    "string", "struct", "types", "typing", "unicodedata", "urllib",
})
# fmt: on
DIGESTS = frozenset({"blake3", "xxhash", "pydantic"})
SQL = ("SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ", "CREATE INDEX ", "PRAGMA ", "BEGIN IMMEDIATE")
ASKERS = ("sdk", "cli", "server", "web", "jobs", "interop")
BYTES_LIBRARIES = frozenset({"fsspec", "s3fs", "aiobotocore", "botocore", "boto3"})


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for top in OWN:
        for path in sorted((ROOT / top).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write imports in full"
            yield node.lineno, node.module or ""


def is_typing(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_storage_has_never_heard_of_lineage() -> None:
    """Law 1: nothing in storage imports lineage."""
    found = [
        f"{path}:{line}"
        for path, tree in modules()
        if path.is_relative_to(ROOT / "storage")
        for line, name in imports(tree)
        if name.split(".")[0] == "lineage"
    ]
    assert [] == found


def test_imports_never_go_round() -> None:
    """Law 1: no cycle between files."""
    edges: dict[str, set[str]] = defaultdict(set)
    known = {name_of(path) for path, _ in modules()}
    for path, tree in modules():
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OWN:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    edges[name_of(path)].add(whole if whole in known else node.module)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"import cycle: {' -> '.join((*trail, name))}"
        if name not in done:
            for other in sorted(edges[name]):
                visit(other, (*trail, name))
            done.add(name)

    for name in list(edges):
        visit(name, ())


def test_nouns_touch_nothing() -> None:
    """Law 2: nouns import only nouns, the pure part of the standard library, pydantic and the digest packages, and open no file."""
    nouns = {path for pattern in NOUNS for path in ROOT.glob(pattern)}
    noun_names = {name_of(path) for path in nouns} | {"storage", "lineage.model"}
    found = []
    for path in sorted(nouns - {ROOT / "storage/__init__.py"}):
        for line, name in imports(ast.parse(path.read_text())):
            if name.split(".")[0] not in PURE | DIGESTS and name not in noun_names:
                found.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} opens a file")
    assert [] == found


def test_sql_lives_in_one_room() -> None:
    """Law 3: text that looks like SQL stands in lineage/catalog and nowhere else."""
    found = []
    for path, tree in modules():
        if path.is_relative_to(ROOT / "lineage/catalog"):
            continue
        documentation = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in documentation
                and node.value.lstrip().startswith(SQL)
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert [] == found


def test_only_two_rooms_touch_fsspec() -> None:
    """Law 3: fsspec, s3fs and what they stand on are used in storage/blob and storage/transfer only.

    One file speaks fsspec's interface to others and reads nothing through it: the file system `lineage://`.
    """
    rooms = (ROOT / "storage/blob", ROOT / "storage/transfer", ROOT / "lineage/interop/filesystem.py")
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, tree in modules()
        if not any(path.is_relative_to(room) for room in rooms)
        for line, name in imports(tree)
        if name.split(".")[0] in BYTES_LIBRARIES
    ]
    assert [] == found


def test_nothing_listens_on_a_socket() -> None:
    """Law 3: only the server's room may."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, tree in modules()
        if "server" not in path.parts
        for line, name in imports(tree)
        if name.split(".")[0] in {"socketserver", "uvicorn", "fastapi", "starlette"} or name == "http.server"
    ]
    assert [] == found


def test_askers_ask_actions() -> None:
    """Law 4: whoever comes in from outside calls actions, never the catalogue."""
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path, tree in modules()
        if len(path.relative_to(ROOT).parts) > 2 and path.relative_to(ROOT).parts[1] in ASKERS
        for line, name in imports(tree)
        if name.startswith("lineage.catalog")
    ]
    assert [] == found


def test_own_code_is_imported_at_the_top() -> None:
    """Law 5: no function imports our own code; the lazy front doors are the exception."""
    found = []
    for path, tree in modules():
        if path.name == "__init__.py":
            continue
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found += [f"{path.relative_to(ROOT)}:{line}" for line, name in imports(function) if name.split(".")[0] in OWN]
    assert [] == found


def test_functions_stay_small() -> None:
    """No function is longer than 80 lines, and 95 in a hundred have at most 45."""
    lengths = []
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths.append(((node.end_lineno or 0) - node.lineno + 1, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"))
    lengths.sort()
    assert [] == [place for length, place in lengths if length > 80]
    assert lengths[int(len(lengths) * 0.95)][0] <= 45


def test_every_file_opens_with_its_law() -> None:
    """Every module says in its first lines what it is."""
    assert [] == [str(path.relative_to(ROOT)) for path, tree in modules() if not ast.get_docstring(tree)]


@pytest.mark.parametrize("folder", ["storage/blob", "storage/transfer"])
def test_tables_of_contents_are_right(folder: str) -> None:
    """Where a package's docstring says what is in its folder, all of it is listed, once, and nothing else."""
    lines = (ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text())) or "").splitlines()[2:]
    listed = [name for line in lines for name in re.split(r" {2,}", line.strip())[1].split(" · ")]
    there = {path.stem for path in (ROOT / folder).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(there - {"__init__"}) == sorted(listed)


def test_the_top_level_is_what_it_should_be() -> None:
    """Nothing stands at the top but what the owner put there, dot files and the licence aside."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    if not listed:
        pytest.skip("not a git checkout: what is tracked cannot be told from what is lying about")
    tops = {name.split("/")[0] for name in listed if not name.startswith(".")}
    assert {"pyproject.toml", "README.md", "LICENSE", "lineage", "storage", "tests", "notebooks"} == tops


def test_tests_have_no_init() -> None:
    """An __init__.py under tests would let tests/storage shadow storage."""
    assert [] == list((ROOT / "tests").rglob("__init__.py"))


def test_no_shell_ever_sees_a_name() -> None:
    """No call passes shell=True, and nothing unpickles, evaluates or executes (N19, M12, E10)."""
    found = []
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                if name in {"eval", "exec"} or any(word.arg == "shell" for word in node.keywords):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
        found += [
            f"{path.relative_to(ROOT)}:{line}"
            for line, name in imports(tree)
            if name.split(".")[0] in {"pickle", "cloudpickle", "dill", "marshal"}
        ]
    assert [] == found


HEAVY = ("s3fs", "fsspec", "networkx", "sqlite_utils", "sqlite3", "typer", "rich", "fastapi", "httpx", "pandas", "numpy", "asyncio")


@pytest.mark.parametrize("module", ["lineage", "storage", "lineage.model.edge", "storage.manifest", "lineage.errors"])
def test_front_doors_are_light(module: str) -> None:
    """Importing a front door or a noun loads none of the heavy libraries."""
    code = f"import sys, {module}; print(' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert [] == loaded
