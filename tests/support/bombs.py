"""Files that are small and become large: ZIPs, workbooks and JSON, made without holding them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MEGABYTE = 1 << 20
_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")


def deflated(block: bytes, times: int, begin: bytes = b"", end: bytes = b"") -> tuple[bytes, int]:
    """Return `begin`, `block` so many times, and `end` as one deflated text, and its CRC.

    A block is deflated once: after a full flush, what follows does not depend on what came before.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(begin) + packer.flush(zlib.Z_FULL_FLUSH)
    middle = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = middle.compress(block) + middle.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    tail = last.compress(end) + last.flush()
    crc = zlib.crc32(begin)
    for _ in range(times):
        crc = zlib.crc32(block, crc)
    return first + one * times + tail, zlib.crc32(end, crc)


def gzipped(block: bytes, times: int, begin: bytes = b"", end: bytes = b"") -> bytes:
    """Return the same as a gzip file."""
    packed, crc = deflated(block, times, begin, end)
    size = (len(begin) + len(block) * times + len(end)) & 0xFFFFFFFF
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed + struct.pack("<2L", crc, size)


def zip_of(name: str, packed: bytes, crc: int, size: int, *, claimed: int | None = None) -> bytes:
    """Return a ZIP with one deflated member, whose size may be claimed to be another."""
    told = size if claimed is None else claimed
    raw = name.encode()
    local = _LOCAL.pack(
        b"PK\3\4", 20, 0, 8, 0, 33, crc, len(packed), told & 0xFFFFFFFF, len(raw), 0
    )
    central = _CENTRAL.pack(
        b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, len(packed), told & 0xFFFFFFFF, len(raw),
        0, 0, 0, 0, 0, 0,
    )  # fmt: skip
    place = len(local) + len(raw) + len(packed)
    end = _END.pack(b"PK\5\6", 0, 0, 1, 1, len(central) + len(raw), place, 0)
    return local + raw + packed + central + raw + end


def zip_of_entries(count: int, inside: bytes = b"") -> bytes:
    """Return a ZIP with so many small members."""
    out, directory = io.BytesIO(), io.BytesIO()
    crc = zlib.crc32(inside)
    for number in range(count):
        name = b"%07d.csv" % number
        place = out.tell()
        out.write(
            _LOCAL.pack(b"PK\3\4", 20, 0, 0, 0, 33, crc, len(inside), len(inside), len(name), 0)
        )
        out.write(name + inside)
        directory.write(
            _CENTRAL.pack(b"PK\1\2", 20, 20, 0, 0, 0, 33, crc, len(inside), len(inside), len(name),
                          0, 0, 0, 0, 0, place)
        )  # fmt: skip
        directory.write(name)
    place = out.tell()
    out.write(directory.getvalue())
    many = min(count, 0xFFFF)
    if count > many:  # ZIP64
        size = len(directory.getvalue())
        at = out.tell()
        out.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, place))
        out.write(struct.pack("<4sLQL", b"PK\6\7", 0, at, 1))
    out.write(_END.pack(b"PK\5\6", 0, 0, many, many, len(directory.getvalue()), place, 0))
    return out.getvalue()


def overlapping_zip(members: int, size: int) -> bytes:
    """Return a ZIP whose members all share the same deflated bytes."""
    packed, crc = deflated(bytes(MEGABYTE), size // MEGABYTE)
    out = io.BytesIO()
    name = b"0000000.csv"
    out.write(_LOCAL.pack(b"PK\3\4", 20, 0, 8, 0, 33, crc, len(packed), size, len(name), 0))
    out.write(name + packed)
    place = out.tell()
    for number in range(members):
        other = b"%07d.csv" % number
        out.write(
            _CENTRAL.pack(b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, len(packed), size, len(other),
                          0, 0, 0, 0, 0, 0)
        )  # fmt: skip
        out.write(other)
    length = out.tell() - place
    out.write(_END.pack(b"PK\5\6", 0, 0, members, members, length, place, 0))
    return out.getvalue()


# Workbooks.

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
CONTENT_TYPES = (
    f'<?xml version="1.0"?><Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.spreadsheetml.worksheet+xml"/></Types>'
)
_RELATIONSHIPS = f'<?xml version="1.0"?><Relationships xmlns="{_PACKAGE}/relationships">'


def inline(cells: Iterable[str], row: int = 1) -> str:
    """Return a row of a sheet with texts in its cells."""
    written = "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells)
    return f'<row r="{row}">{written}</row>'


def workbook(  # noqa: PLR0913
    header: Iterable[str],
    *,
    rows: str = "",
    dimension: str = "",
    prologue: str = "",
    huge: tuple[bytes, int, bytes] | None = None,
    strings: tuple[bytes, int, bytes, bytes] | None = None,
    sheets: int = 1,
    extra: dict[str, bytes] | None = None,
) -> bytes:
    """Return a workbook by hand.

    Args:
        header: The first row.
        rows: XML of what follows it.
        dimension: What it claims its extent to be, such as `A1:B2`.
        prologue: What stands in front of the sheet, such as a DOCTYPE.
        huge: A block, how often it stands in the sheet, and what follows.
        strings: What shared strings begin with, a block, how often, and what they end with; their
            arguments are (block, times, begin, end).
        sheets: How many sheets are listed; all of them are the first one.
        extra: Further members.
    """
    begin = (
        f'<?xml version="1.0"?>{prologue}<worksheet {_MAIN}>'
        + (f'<dimension ref="{dimension}"/>' if dimension else "")
        + f"<sheetData>{inline(header)}{rows}"
    ).encode()
    block, times, end = huge or (b"", 0, b"")
    listed = "".join(
        f'<sheet name="Users{n or ""}" sheetId="{n + 1}" r:id="rId1"/>' for n in range(sheets)
    )
    members: dict[str, bytes] = {
        "[Content_Types].xml": CONTENT_TYPES.encode(),
        "_rels/.rels": (
            f'{_RELATIONSHIPS}<Relationship Id="rId1" Type="{_DOCUMENT}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>'
        ).encode(),
        "xl/workbook.xml": (
            f'<?xml version="1.0"?><workbook {_MAIN} xmlns:r="{_DOCUMENT}"><sheets>{listed}'
            "</sheets></workbook>"
        ).encode(),
        "xl/_rels/workbook.xml.rels": (
            f'{_RELATIONSHIPS}<Relationship Id="rId1" Type="{_DOCUMENT}/worksheet" '
            'Target="worksheets/sheet1.xml"/><Relationship Id="rId2" '
            f'Type="{_DOCUMENT}/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
        ).encode(),
        **(extra or {}),
    }
    packed = {name: (*deflated(b"", 0, data), len(data)) for name, data in members.items()}
    closing = end + b"</sheetData></worksheet>"
    size = len(begin) + len(block) * times + len(closing)
    packed["xl/worksheets/sheet1.xml"] = (*deflated(block, times, begin, closing), size)
    if strings:
        one, count, first, last = strings
        length = len(first) + len(one) * count + len(last)
        packed["xl/sharedStrings.xml"] = (*deflated(one, count, first, last), length)
    return _zip_of_packed(packed)


def _zip_of_packed(members: dict[str, tuple[bytes, int, int]]) -> bytes:
    out, directory = io.BytesIO(), io.BytesIO()
    for name, (packed, crc, size) in members.items():
        raw, place = name.encode(), out.tell()
        told = min(size, 0xFFFFFFFF)
        out.write(_LOCAL.pack(b"PK\3\4", 20, 0, 8, 0, 33, crc, len(packed), told, len(raw), 0))
        out.write(raw + packed)
        directory.write(
            _CENTRAL.pack(b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, len(packed), told, len(raw),
                          0, 0, 0, 0, 0, place)
        )  # fmt: skip
        directory.write(raw)
    place = out.tell()
    out.write(directory.getvalue())
    length, count = len(directory.getvalue()), len(members)
    out.write(_END.pack(b"PK\5\6", 0, 0, count, count, length, place, 0))
    return out.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an ordinary ZIP; a name may be there twice only under `zip_of_entries`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def pieces(make: Callable[[int], bytes], count: int) -> Iterator[bytes]:
    """Yield so many pieces, each made when it is needed."""
    for number in range(count):
        yield make(number)
