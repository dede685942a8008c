"""What has arrived of a file, and whether that is the whole of it.

The bytes are kept as the storage sends them, so that sizes, ranges and checksums are of one and the
same thing; a `Content-Encoding` is undone at the end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from typing import TYPE_CHECKING

import requests

from tap_autodesk_exports.exports.checksums import Checksums, checksums_of, differing
from tap_autodesk_exports.redaction import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

READ = 1 << 17
"""Bytes that are read and unpacked at once."""
PLAIN = frozenset({"", "identity", "aws-chunked"})
"""Content encodings that change nothing; the last one is left over from an upload (S3)."""
PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_ZIP = b"PK"


class Broken(Exception):
    """One try failed; the text says how, without the link.

    Attributes:
        is_answer: Whether the storage answered, so that another network would not help.
        is_lasting: Whether another try would fail in the same way.
        advice: What to do about it, in sentences; empty where that goes without saying.
    """

    def __init__(
        self, message: str, *, is_answer: bool = True, is_lasting: bool = False, advice: str = ""
    ) -> None:
        super().__init__(message)
        self.is_answer = is_answer
        self.is_lasting = is_lasting
        self.advice = advice


@dataclasses.dataclass(frozen=True)
class Version:
    """What an answer with the whole file says of it.

    Attributes:
        total: Its bytes as they are sent; None where the answer does not say.
        etag: Its ETag; None without one.
        modified: `Last-Modified`; None without it.
        encoding: Its `Content-Encoding` in small letters; empty without one.
        checksums: Its checksums.
        has_end: Whether the connection shows where the file ends.
    """

    total: int | None
    etag: str | None
    modified: str | None
    encoding: str
    checksums: Checksums
    has_end: bool

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Version:
        """Read the headers of a 200."""
        length = headers.get("Content-Length", "")
        chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        total = int(length) if length.isascii() and length.isdecimal() and not chunked else None
        return cls(
            total,
            headers.get("ETag"),
            headers.get("Last-Modified"),
            headers.get("Content-Encoding", "").strip().lower(),
            checksums_of(headers),
            has_end=chunked or total is not None,
        )

    @property
    def name(self) -> str | None:
        """What a request for the rest names it by; None where nothing tells it from another."""
        strong = self.etag if self.etag and not self.etag.startswith("W/") else None
        return strong or self.modified

    def has_part(self, headers: Mapping[str, str], begin: int) -> bool:
        """Tell whether the headers of a 206 are of this very file, from a certain byte on."""
        return (
            _content_range(headers.get("Content-Range", "")) == (begin, self.total)
            and headers.get("ETag") == self.etag
            and headers.get("Last-Modified") == self.modified
            and headers.get("Content-Encoding", "").strip().lower() == self.encoding
        )


class Part:
    """What has arrived of a file so far.

    Args:
        path: Where it is kept.
        listed: The size that the API lists; None where it does not.
    """

    def __init__(self, path: Path, listed: int | None) -> None:
        self.path = path
        self._listed = listed
        self._version: Version | None = None
        self._doubted: str | None = None
        self.begin_again()

    def begin_again(self) -> None:
        """Forget what has arrived."""
        self.path.unlink(missing_ok=True)
        self._version = None

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def headers(self) -> dict[str, str]:
        """Return headers that ask for the rest, of the same version of the file."""
        version = self._version
        if not (version and version.name and version.total and 0 < self.size < version.total):
            self.begin_again()
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": version.name}

    def take(self, answer: requests.Response, pieces: Iterable[bytes]) -> None:
        """Write the body of an answer to `headers()`.

        Raises:
            Broken: It is not what was requested.
            requests.RequestException: The connection broke.
        """
        status = answer.status_code
        if status == requests.codes.partial_content:
            if not (self._version and self._version.has_part(answer.headers, self.size)):
                self.begin_again()
                msg = "the storage sent another part of the file than the one requested"
                raise Broken(msg)
        elif status == requests.codes.ok:
            self.begin_again()
            if not _is_of_the_whole(answer.headers):
                msg = "the storage sent a part of the file as if it were the whole"
                raise Broken(msg)
            self._version = Version.of(answer.headers)
        else:
            self.begin_again()
            raise Broken(_refused(status))
        with self.path.open("ab") as file:
            for piece in pieces:
                file.write(piece)
                if self._is_too_large(file.tell()):
                    break

    def _is_too_large(self, size: int) -> bool:
        """Tell whether more has come than there can be, so that there is no use in the rest."""
        encoded = self._version and self._version.encoding not in PLAIN
        return self._listed is not None and size > self._listed and not encoded

    # Whole

    def finish(self) -> bool:
        """Check that the file is whole, and undo its encoding.

        Returns:
            Whether that is certain. If not, all of it must be fetched once more: it counts when
            the same comes again.

        Raises:
            Broken: It is not whole; what is here is removed.
        """
        try:
            return self._finish()
        except Broken:
            self.begin_again()
            raise

    def _finish(self) -> bool:
        version = self._version
        if version is None:
            msg = "nothing came"
            raise Broken(msg)
        sent = self.size
        if self._is_too_large(sent):
            raise Broken(_unlike_the_listing(sent, self._listed))
        if version.total is not None and sent != version.total:
            msg = f"{sent} of {version.total} bytes came"
            raise Broken(msg)
        if header := differing(self.path, version.checksums):
            msg = f"it does not have the checksum that came with it ({header})"
            raise Broken(msg)
        if version.encoding not in PLAIN:
            self._unpack(version.encoding)
        if self._listed is not None:
            if self._listed not in {self.size, sent}:
                raise Broken(_unlike_the_listing(self.size, self._listed))
            return True
        if version.checksums or (version.has_end and not _may_be_cut(self.path)):
            return True
        return self._is_confirmed()

    def _is_confirmed(self) -> bool:
        """Tell whether the same came before."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        before, self._doubted = self._doubted, digest
        return digest == before

    def _unpack(self, encoding: str) -> None:
        """Undo an encoding.

        Raises:
            Broken: It is another one, or the file does not reach its end.
        """
        if encoding not in PACKED:
            msg = f"it is encoded as '{excerpt(encoding, 30)}', which was not requested"
            raise Broken(msg)
        unpacked = self.path.with_name(self.path.name + ".unpacked")
        try:
            with self.path.open("rb") as source, unpacked.open("wb") as target:
                for piece in _unpacked(iter(lambda: source.read(READ), b""), encoding):
                    target.write(piece)
                    if self._listed is not None and target.tell() > max(self._listed, self.size):
                        break
            unpacked.replace(self.path)
        except zlib.error:
            msg = "its compressed bytes are damaged"
            raise Broken(msg) from None
        finally:
            unpacked.unlink(missing_ok=True)


def _unpacked(pieces: Iterable[bytes], encoding: str) -> Iterable[bytes]:
    """Yield what gzip, zlib or raw deflate packed.

    Raises:
        Broken: The end of the compressed data is missing.
        zlib.error: They are damaged.
    """
    unpacker = None
    for piece in pieces:
        left = piece
        while left:
            if unpacker is None or unpacker.eof:  # gzip: several members may follow one another
                if unpacker and not left.strip(b"\0"):
                    break  # padding
                unpacker = zlib.decompressobj(_window(left, encoding))
            yield unpacker.decompress(left, READ)
            left = unpacker.unconsumed_tail or unpacker.unused_data
    if unpacker is None or not unpacker.eof:
        msg = "its compressed bytes do not reach their end"
        raise Broken(msg)


def _window(data: bytes, encoding: str) -> int:
    """Return zlib's `wbits`; `deflate` is zlib's format (RFC 9110), and raw with some servers."""
    if encoding != "deflate":
        return 16 + zlib.MAX_WBITS
    is_zlib = len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0  # noqa: PLR2004
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


def _may_be_cut(path: Path) -> bool:
    """Tell whether a text file may have been cut: its last line has no end.

    A storage that has a part of a file only announces the size of that part, so that it proves
    nothing. A ZIP, and so a workbook, shows at its end whether it is whole.
    """
    with path.open("rb") as file:
        if file.read(len(_ZIP)) == _ZIP:
            return False
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 1))
        return file.read() not in {b"\n", b"\r"}


def _content_range(text: str) -> tuple[int, int] | None:
    """Return first byte and total of `bytes 5-9/10`; None where one of them is missing."""
    unit, _, span = text.strip().partition(" ")
    first, _, total = span.partition("-")[0], *span.partition("/")[1:]
    if unit.lower() != "bytes" or not (first.isdecimal() and total.isdecimal()):
        return None
    return int(first), int(total)


def _is_of_the_whole(headers: Mapping[str, str]) -> bool:
    """Tell whether a 200, which has no range as a rule, does not speak of a part."""
    shown = headers.get("Content-Range")
    if shown is None:
        return True
    length = headers.get("Content-Length", "")
    return _content_range(shown) == (0, int(length) if length.isdecimal() else None)


def _unlike_the_listing(size: int, listed: int | None) -> str:
    return f"{size} bytes came, the listing says {listed}"


def _refused(status: int) -> str:
    if status == requests.codes.requested_range_not_satisfiable:
        return "the storage could not go on where it stopped"
    if status in {requests.codes.forbidden, requests.codes.gone}:
        return "the link had expired"
    return f"the storage answered {status}"
