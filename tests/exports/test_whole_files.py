"""A part is never taken for the whole: sizes, ranges, encodings, checksums, and none of them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import threading
import zlib

import pytest

from support.made_up_service import FastClock
from support.raw_server import RawServer, answer, head
from support.storage import FINISHED, LinkService
from tap_autodesk_exports.exports import download
from tap_autodesk_exports.exports.download import Downloader, DownloadError
from tap_autodesk_exports.exports.export import ExportFile

FILE = b"id,name\n" + b"".join(b"%d,row number %d\n" % (n, n) for n in range(500))
SIZE = len(FILE)
HALF = SIZE // 2
ETAG = '"of-this-version"'
CHANGED = "Thu, 26 Nov 2026 10:00:00 GMT"
VERSION = {"ETag": ETAG, "Last_Modified": CHANGED}


class Storage:
    """Answers the n-th request with the n-th answer, and from then on with the last one."""

    def __init__(self, folder, *answers, size=None, name="file.csv", **limits):
        self.clock = FastClock()
        self._folder, self._answers = folder, list(answers)
        self._size, self._name, self._limits = size, name, limits
        self.requests = []

    def answer(self, request):
        self.requests.append(request)
        given = self._answers[min(len(self.requests), len(self._answers)) - 1]
        given = given(request) if callable(given) else given
        return [given] if isinstance(given, bytes) else given

    def fetch(self):
        with RawServer(self.answer) as self.server:
            downloader = Downloader(
                self.clock, threading.Event(), api_url=self.server.url, **self._limits
            )
            service = LinkService(lambda: f"{self.server.url}/file")
            file = ExportFile(self._name, size=self._size)
            return downloader.fetch(service, FINISHED, file, self._folder).read_bytes()

    @property
    def ranges(self):
        return [request.headers.get("range") for request in self.requests]


@pytest.fixture
def storage(tmp_path):
    def begin(*answers, **arguments):
        return Storage(tmp_path, *answers, **arguments)

    yield begin
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


def cut(**headers):
    """The first half, and then the connection ends."""
    return head(Content_Length=len(FILE), **headers) + FILE[:HALF]


def rest(start=HALF, total=SIZE, **headers):
    """What a 206 holds from the middle on."""
    span = f"bytes {start}-{len(FILE) - 1}/{total}"
    body = FILE[start:]
    return answer(body, "206 Partial Content", **{"Content_Range": span, **headers})


def whole(**headers):
    return answer(FILE, **headers)


# Ranges


def test_a_download_that_breaks_goes_on_where_it_broke(storage):
    begun = storage(cut(**VERSION), rest(**VERSION))
    assert begun.fetch() == FILE
    assert begun.ranges == [None, f"bytes={HALF}-"]
    assert begun.requests[1].headers["if-range"] == ETAG


OTHER = {
    "another start": rest(start=HALF + 16, **VERSION),
    "another total": rest(total=len(FILE) + 7, **VERSION),
    "no total": rest(total="*", **VERSION),
    "another ETag": rest(**{**VERSION, "ETag": '"of-another"'}),
    "no ETag": rest(Last_Modified=CHANGED),
    "another Last-Modified": rest(**{**VERSION, "Last_Modified": CHANGED.replace("10:", "11:")}),
    "no Last-Modified": rest(ETag=ETAG),
    "another encoding": rest(**VERSION, Content_Encoding="gzip"),
    "no Content-Range": rest(**VERSION, Content_Range=None),
    "several ranges": rest(**VERSION, Content_Range=None, Content_Type="multipart/byteranges"),
}


@pytest.mark.parametrize("other", OTHER)
def test_a_rest_that_is_not_of_this_file_begins_it_again(storage, other):
    begun = storage(cut(**VERSION), OTHER[other], whole(**VERSION))
    assert begun.fetch() == FILE
    assert begun.ranges == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_what_nothing_tells_from_another_version_is_not_gone_on_with(storage, headers):
    begun = storage(cut(**headers), whole(**headers))
    assert begun.fetch() == FILE
    assert begun.ranges == [None, None]


def test_a_weak_etag_gives_way_to_the_date(storage):
    version = {"ETag": 'W/"weak"', "Last_Modified": CHANGED}
    begun = storage(cut(**version), rest(**version))
    assert begun.fetch() == FILE
    assert begun.requests[1].headers["if-range"] == CHANGED


def test_a_part_that_nobody_requested_is_not_used(storage):
    begun = storage(rest(start=0), whole())
    assert begun.fetch() == FILE


@pytest.mark.parametrize("span", [f"bytes 0-{HALF - 1}/{SIZE}", f"bytes {HALF}-{SIZE - 1}/{SIZE}"])
def test_a_part_that_is_answered_as_the_whole_is_not_used(storage, span):
    body = FILE[:HALF] if span.startswith("bytes 0") else FILE[HALF:]
    begun = storage(answer(body, Content_Range=span), whole(**VERSION))
    assert begun.fetch() == FILE


def test_a_whole_that_is_answered_with_its_range_is_used(storage):
    assert storage(whole(Content_Range=f"bytes 0-{SIZE - 1}/{SIZE}")).fetch() == FILE


@pytest.mark.parametrize(
    "status", ["204 No Content", "304 Not Modified", "300 Multiple Choices", "202 Accepted"]
)
def test_an_answer_that_is_no_file_is_not_used(storage, status):
    begun = storage(answer(status=status), whole())
    assert begun.fetch() == FILE


def test_a_file_is_not_longer_than_it_says(storage):
    begun = storage(cut(**VERSION), rest(**VERSION)[:-1] + b"\nmore,rows\n", whole(**VERSION))
    assert begun.fetch() == FILE


# Encodings

RAW = zlib.compressobj(wbits=-15)
PACKED = {
    "gzip": gzip.compress(FILE),
    "x-gzip": gzip.compress(FILE),
    "GZip": gzip.compress(FILE[:HALF]) + gzip.compress(FILE[HALF:]),
    "gzip ": gzip.compress(FILE) + bytes(512),
    "deflate": zlib.compress(FILE),
    "Deflate": RAW.compress(FILE) + RAW.flush(),
}


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("size", [None, len(FILE)])
def test_an_encoded_file_is_unpacked(storage, encoding, size):
    begun = storage(answer(PACKED[encoding], Content_Encoding=encoding), size=size)
    assert begun.fetch() == FILE


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "Deflate"])
@pytest.mark.parametrize("left", [0, 1, 9, 200])
@pytest.mark.parametrize("has_length", [True, False])
def test_an_encoded_file_that_does_not_reach_its_end_is_not_used(
    storage, encoding, left, has_length
):
    packed = PACKED[encoding]
    at = left if left < 9 else len(packed) - left
    part = answer(packed[:at], Content_Encoding=encoding) if has_length else (
        head(Content_Encoding=encoding) + packed[:at]
    )  # fmt: skip
    begun = storage(part, whole())
    assert begun.fetch() == FILE
    assert len(begun.requests) > 1


@pytest.mark.parametrize(
    ("encoding", "what"),
    [("br", "encoded as 'br'"), ("gzip, gzip", "encoded as"), ("gzip", "damaged")],
)
def test_an_encoding_that_cannot_be_undone_is_named(storage, encoding, what):
    with pytest.raises(DownloadError, match=what):
        storage(answer(b"\x1f\x8b\x08 no gzip", Content_Encoding=encoding)).fetch()


def test_an_encoded_file_goes_on_where_it_broke(storage):
    packed = PACKED["gzip"]
    at = len(packed) // 2
    version = {**VERSION, "Content_Encoding": "gzip"}
    begun = storage(
        head(Content_Length=len(packed), **version) + packed[:at],
        answer(
            packed[at:],
            "206 Partial Content",
            **version,
            Content_Range=f"bytes {at}-{len(packed) - 1}/{len(packed)}",
        ),
    )
    assert begun.fetch() == FILE
    assert begun.ranges == [None, f"bytes={at}-"]


def test_what_unpacks_to_more_than_is_listed_is_left(storage, tmp_path):
    bomb = gzip.compress(bytes(50 << 20))
    begun = storage(answer(bomb, Content_Encoding="gzip"), whole(), size=len(FILE))
    assert begun.fetch() == FILE
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1 << 20


# Checksums


def b64(digest):
    return base64.b64encode(digest).decode()


def crc(data, polynomial, width):
    """The textbook's way, bit by bit."""
    value = full = (1 << width) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
    return (value ^ full).to_bytes(width // 8, "big")


MD5 = hashlib.md5(FILE, usedforsecurity=False)
SHA1 = hashlib.sha1(FILE, usedforsecurity=False)
CRC32C = crc(FILE, 0x82F63B78, 32)
OF_S3 = {"Server": "AmazonS3", "x_amz_server_side_encryption": "AES256"}
RIGHT = {
    "Content-MD5": {"Content_MD5": b64(MD5.digest())},
    "x-amz-checksum-sha256": {"x_amz_checksum_sha256": b64(hashlib.sha256(FILE).digest())},
    "x-amz-checksum-sha1": {"X_Amz_Checksum_Sha1": b64(SHA1.digest())},
    "x-amz-checksum-crc32": {"x_amz_checksum_crc32": b64(zlib.crc32(FILE).to_bytes(4, "big"))},
    "x-amz-checksum-crc32c": {"x_amz_checksum_crc32c": b64(CRC32C)},
    "x-amz-checksum-crc64nvme": {
        "x_amz_checksum_crc64nvme": b64(crc(FILE, 0x9A6C9329AC4BC9B5, 64)),
        "x_amz_checksum_type": "FULL_OBJECT",
    },
    "x-goog-hash": {"x_goog_hash": f"crc32c={b64(CRC32C)},md5={b64(MD5.digest())}"},
    "x-goog-hash without MD5": {"x_goog_hash": f"crc32c={b64(CRC32C)}"},
    "x-ms-blob-content-md5": {"x_ms_blob_content_md5": b64(MD5.digest())},
    "Digest": {"Digest": f"sha-256={b64(hashlib.sha256(FILE).digest())},unixsum=30637"},
    "Digest with SHA": {"Digest": f"SHA={b64(SHA1.digest())}"},
    "Repr-Digest": {"Repr_Digest": f"sha-512=:{b64(hashlib.sha512(FILE).digest())}:"},
    "Content-Digest": {"Content_Digest": f"sha-256=:{b64(hashlib.sha256(FILE).digest())}:"},
    "ETag of S3": {"ETag": f'"{MD5.hexdigest()}"', **OF_S3},
}
DAMAGED = FILE[:HALF] + bytes([FILE[HALF] ^ 1]) + FILE[HALF + 1 :]


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_that_has_not_the_checksum_that_came_with_it_is_not_used(storage, name):
    begun = storage(answer(DAMAGED, **RIGHT[name]), whole(**RIGHT[name]))
    assert begun.fetch() == FILE
    assert len(begun.requests) == 2


@pytest.mark.parametrize("name", RIGHT)
def test_without_an_end_the_checksum_tells_whether_it_is_whole(storage, name):
    """Not even the length is known, and the last line is cut."""
    unended = FILE[:-1]
    begun = storage(head(**RIGHT[name]) + unended, head(**RIGHT[name]) + FILE)
    assert begun.fetch() == FILE
    assert len(begun.requests) == 2


def test_a_checksum_of_every_download_that_differs_is_named(storage):
    with pytest.raises(DownloadError, match=r"checksum that came with it \(content-md5\)"):
        storage(answer(DAMAGED, **RIGHT["Content-MD5"])).fetch()


def test_the_checksum_of_the_whole_is_compared_after_a_part_came_later(storage):
    version = {**VERSION, **RIGHT["x-amz-checksum-sha256"]}
    begun = storage(cut(**version), rest(**VERSION)[:-1] + b"\r", whole(**version))
    assert begun.fetch() == FILE
    assert begun.ranges == [None, f"bytes={HALF}-", None]


def test_a_checksum_is_of_the_bytes_as_they_are_sent(storage):
    packed = PACKED["gzip"]
    md5 = b64(hashlib.md5(packed, usedforsecurity=False).digest())
    begun = storage(answer(packed, Content_Encoding="gzip", Content_MD5=md5))
    assert begun.fetch() == FILE
    assert len(begun.requests) == 1


NOT_OF_THE_FILE = {
    "of parts": {"x_amz_checksum_sha256": f"{b64(bytes(32))}-3"},
    "said to be of parts": {
        "x_amz_checksum_crc32": b64(bytes(4)),
        "x_amz_checksum_type": "COMPOSITE",
    },
    "of a kind that nobody knows": {"x_amz_checksum_new": b64(bytes(8)), "Digest": "new=AAAA"},
    "no Base64": {"Content_MD5": "not base64!"},
    "of another length": {"Content_MD5": b64(bytes(5))},
    "of a file that was unpacked on its way": {
        "x_goog_hash": f"md5={b64(bytes(16))}",
        "x_goog_stored_content_encoding": "gzip",
    },
    "an ETag of some server": {"ETag": f'"{bytes(16).hex()}"'},
    "an ETag of parts": {"ETag": f'"{bytes(16).hex()}-2"', **OF_S3},
    "an ETag under a key of KMS": {
        "ETag": f'"{bytes(16).hex()}"',
        **OF_S3,
        "x_amz_server_side_encryption": "aws:kms",
    },
    "an ETag under a key of the customer": {
        "ETag": f'"{bytes(16).hex()}"',
        **OF_S3,
        "x_amz_server_side_encryption_customer_algorithm": "AES256",
    },
}


@pytest.mark.parametrize("name", NOT_OF_THE_FILE)
def test_what_is_no_checksum_of_the_file_does_not_hold_it_back(storage, name):
    begun = storage(whole(**NOT_OF_THE_FILE[name]))
    assert begun.fetch() == FILE
    assert len(begun.requests) == 1


# Nothing says where the file ends

CHUNKED = {"Transfer_Encoding": "chunked"}


def chunked(body):
    return head(**CHUNKED) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


SAID = {"an end": chunked, "a length": answer}
"""What a storage says of where its file ends, which may be where it cut it."""


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
@pytest.mark.parametrize("last", [FILE[:-4], FILE[:HALF], b"id,name", b"id,na", b""])
def test_a_last_line_without_an_end_is_not_trusted_where_no_size_is_listed(storage, last, said):
    begun = storage(said(last), said(FILE))
    assert begun.fetch() == FILE
    assert len(begun.requests) == 2


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_a_file_without_a_last_line_end_counts_when_the_same_comes_twice(storage, said):
    unended = FILE[:-1]
    begun = storage(said(unended), said(unended))
    assert begun.fetch() == unended
    assert len(begun.requests) == 2


def test_a_checksum_is_enough(storage):
    unended = FILE[:-1]
    sha256 = b64(hashlib.sha256(unended).digest())
    begun = storage(answer(unended, x_amz_checksum_sha256=sha256))
    assert begun.fetch() == unended
    assert len(begun.requests) == 1


def test_a_body_that_ends_with_the_connection_counts_when_the_same_comes_twice(storage):
    """It may have been cut between two lines as well."""
    lines = FILE.splitlines(keepends=True)
    begun = storage(head() + b"".join(lines[:99]), head() + FILE, head() + FILE)
    assert begun.fetch() == FILE
    assert len(begun.requests) == 3


@pytest.mark.parametrize(
    "given",
    [chunked(FILE), whole(), chunked(b"PK\x03\x04 a ZIP"), answer(b"PK\x03\x04 a ZIP")],
    ids=["an end", "a length", "a ZIP", "a length of a ZIP"],
)
def test_what_has_an_end_is_fetched_once(storage, given):
    begun = storage(given)
    begun.fetch()
    assert len(begun.requests) == 1


def test_a_listed_size_is_enough(storage):
    unended = FILE[:-1]
    begun = storage(head() + unended, size=len(unended))
    assert begun.fetch() == unended
    assert len(begun.requests) == 1


def test_a_file_that_never_comes_twice_is_not_used(storage):
    number = iter(range(100))
    with pytest.raises(DownloadError, match="nothing shows that it is whole"):
        storage(lambda _: head() + FILE + b"%d" % next(number)).fetch()
    assert next(number) == download.TRIES


# An end in time

SHORT = {"request_seconds": 0.3}


def test_a_download_that_is_too_slow_is_given_up(storage):
    begun = storage(
        lambda _: begun.server.drip([head(Content_Length=10**6), *[b"a"] * 9999], 0.02), **SHORT
    )
    with pytest.raises(DownloadError, match=r"sends only .* bytes a second") as caught:
        begun.fetch()
    assert not caught.value.is_answer
    assert len(begun.requests) == 2


def test_a_silent_storage_costs_its_time_once(tmp_path):
    hold = threading.Event()
    with RawServer(lambda _: iter(lambda: hold.wait(20) and b"", None)) as server:
        downloader = Downloader(FastClock(), threading.Event(), api_url=server.url, **SHORT)
        service = LinkService(lambda: f"{server.url}/file")
        for _ in range(3):
            with pytest.raises(DownloadError, match="did not answer in time"):
                downloader.fetch(service, FINISHED, ExportFile("file.csv"), tmp_path)
        assert len(server.requests) == 2
        hold.set()


def test_a_download_has_an_end_also_where_it_goes_on(storage):
    """However often it breaks, and whatever it brings: there is a total."""
    steps = iter(range(100_000))

    def little(request):
        at = int(request.headers.get("range", "bytes=0-")[6:-1])
        if at == 0:
            return head(Content_Length=10**11, **VERSION) + bytes(1 << 20)
        next(steps)
        span = f"bytes {at}-{10**11 - 1}/{10**11}"
        headers = {"Content_Length": 10**11 - at, "Content_Range": span, **VERSION}
        return head("206 Partial Content", **headers) + bytes(1 << 20)

    with pytest.raises(DownloadError):
        storage(little, seconds=0.5, **SHORT).fetch()
    assert next(steps) < 10_000


def test_a_large_file_may_break_more_often_than_it_is_tried(storage):
    """What brings a megabyte each time is not given up after six of them."""
    size = 10 << 20

    def next_megabyte(request):
        at = int(request.headers.get("range", "bytes=0-")[6:-1])
        body = bytes((1 << 20) - 1) + b"\n"
        if at == 0:
            return head(Content_Length=size, **VERSION) + body
        span = f"bytes {at}-{size - 1}/{size}"
        headers = {"Content_Length": size - at, "Content_Range": span, **VERSION}
        return head("206 Partial Content", **headers) + body

    begun = storage(next_megabyte)
    assert len(begun.fetch()) == size
    assert len(begun.requests) == 10


@pytest.mark.parametrize("name", ["a\nb.csv", "a\0b.csv", "x" * 300 + ".csv", "a:b?.csv", "\u2028"])
def test_every_name_can_be_written(storage, name):
    assert storage(whole(), name=name).fetch() == FILE
