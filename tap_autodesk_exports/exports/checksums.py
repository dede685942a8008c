"""Checksums that a storage sends with a file, and whether the file has them.

Documented by the storages and in RFCs: `Content-MD5` and `x-amz-checksum-…` in Base64 (one with a
`-` and a number after it is made of parts, and not of the whole file), `x-goog-hash` as
`crc32c=…,md5=…`, `x-ms-blob-content-md5`, `Repr-Digest` and `Content-Digest` as `sha-256=:…:`
(RFC 9530), `Digest` as `sha-256=…` (RFC 3230). The ETag of Amazon S3 is the file's MD5 in
hexadecimal digits where the file was uploaded at once and not encrypted with a separate key. All
of them are of the bytes as they are sent, before a `Content-Encoding` is undone.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

READ = 1 << 20
"""Bytes of a file that are read at once."""
_MD5_IN_HEX = re.compile(r'"([0-9a-f]{32})"')
_NAMED = re.compile(r"([A-Za-z0-9-]+)\s*=\s*:?([A-Za-z0-9+/]+=*):?")
_OF_AMAZON = "x-amz-checksum-"


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    """CRC-32 as hashlib would have it."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class _OtherCrc:
    """A reflected CRC, its register full at first and inverted at last.

    No library here has these polynomials, and Python does some 10 MB/s: they are the last choice.
    """

    def __init__(self, polynomial: int, size: int) -> None:
        self._size = size
        self._value = self._full = (1 << 8 * size) - 1
        self._table = _table(polynomial)

    def update(self, data: bytes, /) -> None:
        value, table = self._value, self._table
        for byte in data:
            value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
        self._value = value

    def digest(self) -> bytes:
        return (self._value ^ self._full).to_bytes(self._size, "big")


@functools.cache
def _table(polynomial: int) -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        return value

    return tuple(map(entry, range(256)))


def _md5() -> _Hash:
    return hashlib.md5(usedforsecurity=False)


_HASHES: Mapping[str, Callable[[], _Hash]] = {
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha": lambda: hashlib.sha1(usedforsecurity=False),
    "md5": _md5,
    "crc32": _Crc32,
    "crc32c": lambda: _OtherCrc(0x82F63B78, 4),
    "crc64nvme": lambda: _OtherCrc(0x9A6C9329AC4BC9B5, 8),
}
"""Name without hyphens -> the hash."""
_SLOW = frozenset({"crc32c", "crc64nvme"})

Checksums = tuple[tuple[str, str, bytes], ...]
"""Header, name of the hash, and its value."""


def checksums_of(headers: Mapping[str, str]) -> Checksums:
    """Return the checksums of a whole file that an answer holds and that can be computed here.

    Args:
        headers: Of the answer with the whole file; names of any case.
    """
    found = [
        (header, name, value)
        for header, name, value in _all(headers)
        if name in _HASHES and len(value) == len(_HASHES[name]().digest())
    ]
    quick = tuple(each for each in found if each[1] not in _SLOW)
    return quick or tuple(found)


def differing(path: Path, checksums: Checksums) -> str | None:
    """Return the header of a checksum that a file does not have; None where it has all."""
    hashes = {name: _HASHES[name]() for _, name, _ in checksums}
    with path.open("rb") as file:
        while hashes and (data := file.read(READ)):
            for each in hashes.values():
                each.update(data)
    digests = {name: each.digest() for name, each in hashes.items()}
    return next((header for header, name, value in checksums if digests[name] != value), None)


def _all(headers: Mapping[str, str]) -> Iterator[tuple[str, str, bytes]]:
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    for header in ("content-md5", "x-ms-blob-content-md5"):
        yield from _value(header, "md5", lower.get(header, ""))
    if lower.get("x-amz-checksum-type", "").upper() != "COMPOSITE":
        for header, value in lower.items():
            if header.startswith(_OF_AMAZON) and "-" not in value:
                yield from _value(header, header.removeprefix(_OF_AMAZON), value)
    for header in ("repr-digest", "content-digest", "digest", *_of_google(lower)):
        for name, value in _NAMED.findall(lower.get(header, "")):
            yield from _value(header, name.lower().replace("-", ""), value)
    etag = _MD5_IN_HEX.fullmatch(lower.get("etag", ""))
    if etag and _is_plain_file_of_s3(lower):
        yield "etag", "md5", bytes.fromhex(etag[1])


def _value(header: str, name: str, text: str) -> Iterator[tuple[str, str, bytes]]:
    try:
        yield header, name, base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return  # none that could be compared


def _of_google(lower: Mapping[str, str]) -> list[str]:
    """Return the header, unless the file was unpacked on its way: it is of the stored bytes."""
    stored = lower.get("x-goog-stored-content-encoding", "identity")
    sent = lower.get("content-encoding", "identity")
    return ["x-goog-hash"] if stored == sent else []


def _is_plain_file_of_s3(lower: Mapping[str, str]) -> bool:
    """Tell whether it is certain that an ETag of that form is an MD5.

    Not with a key of the customer or of AWS KMS, nor in a directory bucket (documented).
    """
    encryption = lower.get("x-amz-server-side-encryption", "AES256")
    return (
        lower.get("server", "") == "AmazonS3"
        and encryption == "AES256"
        and "x-amz-server-side-encryption-customer-algorithm" not in lower
        and lower.get("x-amz-storage-class", "") != "EXPRESS_ONEZONE"
    )
