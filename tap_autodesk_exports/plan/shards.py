"""The tables of an extract, shared out among workers by the size of their files."""

from __future__ import annotations

import dataclasses
import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Shard:
    """What one worker loads of an extract.

    Attributes:
        shard_id: Job and number: the state of what is loaded belongs to both.
        tables: Name of a table -> bytes of its file.
    """

    shard_id: str
    tables: Mapping[str, int]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(self.tables.values())


def share_out(job_id: str, sizes: Mapping[str, int], workers: int) -> list[Shard]:
    """Share tables out: the largest file first, each to whoever has least.

    Args:
        job_id: The job of the extract.
        sizes: Name of a table -> bytes of its file.
        workers: How many there are.

    Returns:
        A shard for each worker that has something to do. The same sizes give the same shards.
    """
    loads = [(0, 0, number) for number in range(workers)]  # bytes, tables, number
    tables: list[dict[str, int]] = [{} for _ in range(workers)]
    for name, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        load, count, number = heapq.heappop(loads)
        tables[number][name] = size
        heapq.heappush(loads, (load + size, count + 1, number))
    return [Shard(f"{job_id}-{n}", each) for n, each in enumerate(tables, 1) if each]
