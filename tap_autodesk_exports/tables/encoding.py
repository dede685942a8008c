"""The encodings of batch files."""

from enum import StrEnum


class Encoding(StrEnum):
    """How the rows are written in a batch file."""

    JSONL = "jsonl"
    JSONL_GZIP = "jsonl+gzip"
    PARQUET = "parquet"
