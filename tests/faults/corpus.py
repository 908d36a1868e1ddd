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
    return [f"{row[0]}-{row[1].replace(' ', '-')}" for row in rows]
