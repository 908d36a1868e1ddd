"""Which required rows of the fault catalogue no test covers, and which part of a covered row none does, each with its reason."""

REASONS: dict[str, str] = {
    "X01": "there is no server that could resolve a file: URI for somebody else; whoever asks reads with his own rights",
    "X04": "there is no server with cloud keys of its own; a reference is read with the credentials of whoever asks",
}
"""Rows without any test. A row that is covered may not stand here."""

PARTS: dict[str, str] = {
    "N03": "that Windows refuses them too is not tried on Windows: the judge of names is the same code on every system",
    "N05": "nothing decodes names here; that HTTP decodes them exactly once is for a server, and there is none",
    "N06": "URIs are parsed once by the reference handlers; there is no second parser that could read them otherwise",
    "N10": "a checkout on macOS is not tried: two spellings of one name never reach a manifest",
    "N12": "the refusal on Windows is tried with its switch set by hand, not on Windows itself",
    "N13": "the refusal on Windows is tried with its switch set by hand, not on Windows itself",
    "N14": "the refusal on Windows is tried with its switch set by hand, not on Windows itself",
    "N18": "that pages show names escaped is for pages, and there are none",
    "N21": "two spellings over HTTP are for the server; here a name with an escape in it is no name",
    "R25": "that a listing lags is made by a proxy; a real service that may lag is asked too, but cannot be made to",
    "R26": "the refusal of a locked object is made by a proxy: it is the answer that counts, and moto's locks keep versions only",
    "R28": "plain HTTP to another machine needs a word of its own where S3 is spoken; of a reference its URI is that word: it says http://",
    "X06": "no owner of a bucket is recorded: whoever takes its name over is noticed by version, ETag, checksum and size",
    "S03": "a directory whose flush failed is flushed again by the next writer: there is no way to write a name anew beside other writers",
    "S04": "where tests have no right to mount a small disk, the errors of a full one are only made, at every effect",
    "S06": "where tests have no right to mount a disk read-only, directories are made read-only instead",
    "S12": "there is no copying from disk to disk: staging lies beside the objects, and a store whose objects are elsewhere says so",
    "S13": "what was found of the file system is not written down: a store may be moved, and publishing finds out again whether links work",
    "D07": "that FULL is set is checked; losing power cannot be tried here, and SQLite's promise is relied on",
    "D11": "there is one migration: it is killed at its start and its commit, and run by eight processes at once",
    "D12": "refused at the door whatever the catalogue: there is no PostgreSQL to compare with",
    "M10": "a chain of a hundred thousand is walked in memory; in the catalogue only the benchmarks walk as many runs",
}
"""What of a covered row no test tries."""
