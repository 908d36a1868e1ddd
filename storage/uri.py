"""URIs as people write them: their scheme, and what must never be stored or repeated of them.

Pure text: nothing is resolved and nothing is asked. What carries a permission (a password, a signature, a token) is refused before it can
reach a manifest, a catalogue, a log or a message.
"""

import re
from urllib.parse import unquote

from storage.entry import printable
from storage.errors import InvalidReference

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET = re.compile(
    r"x-(amz|goog|oss|cos|ms)-.*|awsaccesskeyid|googleaccessid|ossaccesskeyid|key-pair-id|signature|sig|jwt|auth|authorization|credentials?"
    r"|(.*[_-])?(token|password|passwd|pwd|secret|api[_-]?key|access[_-]?key|secret[_-]?key|client[_-]?secret)",
    re.IGNORECASE,
)
"""Query parameters that are, or come with, permission: AWS, Google, Azure, Alibaba and Tencent signatures, and what people call keys."""

_CONTAINERS = frozenset({"abfs", "abfss", "az"})
"""Schemes where what stands before the `@` is a container, not a person: `abfs://container@account.dfs.core.windows.net/path`."""


def scheme_of(uri: str) -> str:
    """The scheme of `uri`, lower-case.

    Raises:
        InvalidReference: not text, no scheme, control characters, or not valid UTF-8.
    """
    if not isinstance(uri, str) or _CONTROL.search(uri):
        raise InvalidReference(f"{shown(str(uri))!r} is not a reference: write a URI without control characters")
    try:
        uri.encode()
    except UnicodeEncodeError as error:
        raise InvalidReference(f"{shown(uri)} is not valid UTF-8: percent-encode it") from error
    match = _SCHEME.match(uri)
    if match is None:
        raise InvalidReference(f"{shown(uri)} has no scheme: write s3://bucket/key, https://host/path or file:///absolute/path")
    return match[1].lower()


def strip_secrets(uri: str) -> str:
    """`uri` as it may be stored: a lone user name in front of the host is left out, the scheme is lower-case, all else stays.

    Raises:
        InvalidReference: a password, a signature or a token is part of it. The message names the parameter, never its value.
    """
    scheme = scheme_of(uri)
    uri = scheme + uri[len(scheme) :]
    names = sorted({name for name in map(_parameter, re.split(r"[?&;#]", uri)[1:]) if name and _SECRET.fullmatch(name)})
    plain = re.split(r"[?#]", uri, maxsplit=1)[0]
    head, slashes, tail = plain.partition("://")
    authority, slash, path = tail.partition("/")
    userinfo, _, host = authority.rpartition("@")
    if ":" in unquote(userinfo):
        raise InvalidReference(f"{shown(uri)} was given with a password, which would be stored: keep it in ~/.netrc or in the environment")
    if names:
        found = ", ".join(map(printable, names))
        raise InvalidReference(f"{shown(uri)} carries {found}, which would be stored: reference the plain URI, keep credentials outside it")
    host = authority if scheme in _CONTAINERS else host
    return head + slashes + host + slash + path + uri[len(plain) :]


def shown(uri: str) -> str:
    """As much of `uri` as a message may repeat before it is known to hold no secret."""
    return printable(re.split(r"[?;#]", re.sub(r"//[^/]*@", "//", uri), maxsplit=1)[0])


def _parameter(piece: str) -> str:
    name, equals, _ = piece.partition("=")
    return unquote(name).strip() if equals else ""
