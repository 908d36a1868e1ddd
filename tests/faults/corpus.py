"""Names that are wrong, and names that are only odd; every entrance for entry paths is tried with all of them.

`BAD` must be refused everywhere, leaving no trace. `ODD` must be kept exactly as they are, byte for byte, and never be interpreted.
Each is (id of the fault's row, what it is, the name).
"""

BAD: list[tuple[str, str, str]] = [
    ("N01", "parent", ".."),
    ("N01", "parent first", "../x"),
    ("N01", "parent inside", "a/../../x"),
    ("N01", "parent last", "a/.."),
    ("N02", "absolute", "/etc/x"),
    ("N02", "double slash first", "//x"),
    ("N02", "root", "/"),
    ("N03", "drive", "C:\\x"),
    ("N03", "drive relative", "C:x"),
    ("N03", "drive slash", "c:/x"),
    ("N03", "share", "\\\\srv\\s"),
    ("N03", "long path", "\\\\?\\C:\\x"),
    ("N04", "backslashes", "a\\..\\..\\x"),
    ("N04", "one backslash", "a\\b"),
    ("N07", "nul inside", "a\0b"),
    ("N07", "nul last", "a\0"),
    ("N08", "newline", "a\nb"),
    ("N08", "newline last", "a\n"),
    ("N08", "carriage return", "a\rb"),
    ("N08", "escape", "a\x1b[31mb"),
    ("N08", "delete", "a\x7f"),
    ("N08", "c1", "a\x85b"),
    ("N08", "line separator", "a\u2028b"),
    ("N08", "paragraph separator", "a\u2029b"),
    ("N09", "lone surrogate", "\ud800"),
    ("N09", "undecodable byte", "a\udcff"),
    ("N15", "component 256", "x" * 256),
    ("N15", "component 256 in bytes", "é" * 128),
    ("N15", "path 1025", "/".join(["y" * 204] * 5 + ["z"])),
    ("N15", "depth 65", "/".join("d" * 65)),
    ("N16", "empty", ""),
    ("N16", "dot", "."),
    ("N16", "dot first", "./a"),
    ("N16", "dot inside", "a/./b"),
    ("N16", "doubled slash", "a//b"),
    ("N16", "slash last", "a/"),
    ("N20", "git", ".git"),
    ("N20", "git config", ".git/config"),
    ("N20", "git in a directory", "a/.git/hooks/post-checkout"),
    ("N20", "git upper case", ".GIT/config"),
    ("N20", "git hidden character", ".g\u200cit/config"),
    ("N20", "own control", ".Lineage/x"),
]

ODD: list[tuple[str, str, str]] = [
    ("N05", "percent encoded", "%2e%2e%2f"),
    ("N05", "percent encoded twice", "%252e%252e%252f"),
    ("N11", "upper case", "A"),
    ("N11", "lower case", "a"),
    ("N12", "device", "CON"),
    ("N12", "device with suffix", "aux.txt"),
    ("N12", "device directory", "con/x"),
    ("N12", "com port", "COM1"),
    ("N13", "dot last", "a."),
    ("N13", "space last", "a "),
    ("N14", "stream", "file:stream"),
    ("N14", "data stream", "xx::$DATA"),
    ("N15", "component 255", "x" * 255),
    ("N15", "path 1024", "/".join(["y" * 204] * 5)),
    ("N15", "depth 64", "/".join("d" * 64)),
    ("N18", "right to left", "txt.\u202eexe"),
    ("N18", "zero width", "a\u200bb"),
    ("N18", "cyrillic a", "\u0430"),
    ("N19", "dash first", "-rf"),
    ("N19", "tilde", "~"),
    ("N19", "tilde user", "~root/x"),
    ("N19", "dollar", "$(touch x)"),
    ("N19", "backticks", "`id`"),
    ("N19", "glob", "*?[x]"),
    ("N20", "manifest", "manifest.json"),
    ("N20", "format", "format.json"),
    ("N20", "git ignore", ".gitignore"),
    ("N20", "git inside a name", "x.git/y"),
    ("N10", "composed", "\u00e9"),
    ("N16", "three dots", "..."),
    ("N16", "dots inside", "a..b"),
    ("N19", "space", " "),
]

TOGETHER: list[tuple[str, str, list[str]]] = [
    ("N10", "composed and decomposed", ["\u00e9", "e\u0301"]),
    ("N17", "file and directory", ["a", "a/b"]),
    ("N17", "file and deep directory", ["a", "a/b/c"]),
    ("F19", "twice", ["a", "a"]),
]
"""Names that are fine alone and refused in one manifest."""


def ids(rows: list[tuple[str, str, str]] | list[tuple[str, str, list[str]]]) -> list[str]:
    """What pytest calls each of them."""
    return [f"{row[0]}-{row[1].replace(' ', '-')}" for row in rows]


# ── names of other things, and values ─────────────────────────────────────────────────────────────────────────────────────────────────

_ANYWHERE: list[tuple[str, str, object]] = [
    ("N01", "parent", ".."),
    ("N07", "nul inside", "a\0b"),
    ("N08", "newline", "a\nb"),
    ("N08", "newline last", "a\n"),
    ("N08", "escape", "a\x1b[31mb"),
    ("N08", "line separator", "a\u2028b"),
    ("N09", "lone surrogate", "\ud800"),
    ("N15", "129 characters", "x" * 129),
    ("N16", "empty", ""),
    ("N16", "space alone", " "),
    ("N18", "right to left", "txt.\u202eexe"),
    ("N18", "zero width", "a\u200bb"),
    ("N07", "bytes", b"a"),
    ("N07", "number", 7),
]
_IN_AN_ADDRESS: list[tuple[str, str, object]] = [
    ("N01", "climbing", "../x"),
    ("N02", "absolute", "/etc/x"),
    ("N03", "drive", "C:\\x"),
    ("N05", "percent encoded", "%2e%2e%2f"),
    ("N06", "fragment", "a#b"),
    ("N06", "query", "a?b"),
    ("N14", "stream", "file:stream"),
    ("N21", "escaped letter", "m%6Fdel"),
]
_NOT_ASCII: list[tuple[str, str, object]] = [
    ("N10", "composed", "\u00e9"),
    ("N18", "cyrillic a", "mod\u0430l"),
    ("N19", "dollar", "$(touch x)"),
    ("N19", "backticks", "`id`"),
    ("D14", "sql", "x'; DROP TABLE run; --"),
]

NAMES: dict[str, list[tuple[str, str, object]]] = {
    "collection": [*_ANYWHERE, *_IN_AN_ADDRESS, *_NOT_ASCII],
    "entity": [*_ANYWHERE, *_IN_AN_ADDRESS, *_NOT_ASCII],
    "project": [*_ANYWHERE, *_IN_AN_ADDRESS],
    "run": [*_ANYWHERE, *_IN_AN_ADDRESS],
    "alias": [
        *_ANYWHERE,
        ("N22", "slash", "a/b"),
        ("N22", "colon", "a:b"),
        ("N22", "version", "v3"),
        ("N22", "version with zeros", "v007"),
        ("N22", "digest", "blake3:" + "0af3" * 16),
    ],
    "tag": [*_ANYWHERE, ("N02", "slash", "a/b"), ("N19", "dollar", "$(touch x)")],
    "run tag": _ANYWHERE,
    "type": [*_ANYWHERE, ("N22", "reserved", "wandb-history"), ("N22", "job", "job")],
    "words": [("D12", "nul inside", "a\0b"), ("N09", "lone surrogate", "\ud800"), ("D12", "number", 7)],
}
"""What each kind of name, and free text (`words`), must not be. Whatever is not text cannot be typed into a shell."""


def _nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def _filter(depth: int) -> object:
    value: object = {"state": "x"}
    for _ in range(depth):
        value = {"$and": [value]}
    return value


_EVERY_DOCUMENT: list[tuple[str, str, object]] = [
    ("M02", "1,000 levels", _nested(1000)),
    ("M02", "65 levels", _nested(65)),
    ("M03", "10,001 keys", {str(number): 0 for number in range(10_001)}),
    ("M03", "more than a MiB", {"a": "x" * (1 << 20)}),
    ("M04", "nul in text", {"a": "a\0b"}),
    ("M04", "nul in a key", {"a\0b": 1}),
    ("M04", "lone surrogate", {"a": "\ud800"}),
    ("M04", "surrogate in a key", {"\udcff": 1}),
    ("D13", "2 to the 63", {"a": 2**63}),
    ("D13", "below 64 bits", {"a": -(2**63) - 1}),
    ("D13", "4,301 digits", {"a": 10**4300}),
    ("M04", "key that is no text", {1: 1}),
    ("M04", "no dictionary", [1]),
    ("M04", "an object", {"a": object()}),
]
DOCUMENTS: list[tuple[str, str, object]] = [
    *_EVERY_DOCUMENT,
    ("M01", "nan", {"a": float("nan")}),
    ("M01", "infinity", {"a": [float("inf")]}),
    ("M01", "minus infinity", {"a": {"b": float("-inf")}}),
    ("M01", "nan as text", '{"a": NaN}'),
    ("M02", "100,000 brackets", "[" * 100_000),
    ("M04", "key twice", '{"a": 1, "a": 2}'),
    ("D13", "digits as text", '{"a": 1' + "0" * 4301 + "}"),
]
"""Metadata and configuration that cannot be kept; those that are text are JSON."""
METRICS: list[tuple[str, str, object]] = [row for row in _EVERY_DOCUMENT if "levels" not in row[1] and "10,001" not in row[1]]
"""Metrics that cannot be kept: they may hold NaN, and their keys are joined by dots."""

DIGESTS: list[tuple[str, str, object]] = [
    ("H07", "upper case", "blake3:" + "AB" * 32),
    ("H07", "short", "blake3:" + "ab" * 31),
    ("H07", "long", "blake3:" + "ab" * 33),
    ("H07", "0x", "blake3:0x" + "ab" * 31),
    ("H07", "base64", "blake3:q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="),
    ("H07", "space", " blake3:" + "ab" * 32),
    ("H07", "newline last", "blake3:" + "ab" * 32 + "\n"),
    ("H07", "no algorithm", "ab" * 32),
    ("H08", "md5", "md5:" + "ab" * 16),
    ("H08", "xxh3", "xxh3:" + "ab" * 16),
    ("H07", "empty", ""),
]

_PAYLOADS = (
    "name; DROP TABLE run",
    "name' OR '1'='1",
    'name" OR 1=1 --',
    "(SELECT 1)",
    "name DESC, (SELECT password)",
    "1",
    "rowid",
    "run.owner",
    "owner",
    "project_id",
    "sqlite_version()",
    "name COLLATE NOCASE",
    "name\0",
    "state/**/",
    "`name`",
    "[name]",
    "config",
    "config.",
    ".lr",
    "summary_metrics.",
    "*",
    "CASE WHEN 1 THEN name END",
    "load_extension('x')",
    "created_at--",
    "\ud800",
)
ORDERS: list[tuple[str, str, object]] = [
    ("D14", f"{sign}{payload}"[:40], sign + payload) for sign in ("", "+", "-") for payload in _PAYLOADS
]
"""What must not become an ORDER BY."""
FILTERS: list[tuple[str, str, object]] = [
    *(("D14", f"field {payload}"[:40], {payload: 1}) for payload in _PAYLOADS),
    *(("D14", f"operator {payload}"[:40], {"state": {payload: 1}}) for payload in ("$where", "$expr", "$gt; --", "OR", "$function", "")),
    ("D14", "not a dictionary", "state = 'finished'"),
    ("D14", "list for scalar", {"state": ["finished"]}),
    ("D14", "dictionary in list", {"state": {"$in": [{"a": 1}]}}),
    ("D13", "2 to the 63", {"state": 2**63}),
    ("M04", "lone surrogate", {"state": "\ud800"}),
    ("M02", "1,000 levels", _filter(1000)),
]
"""What must not become a WHERE."""
