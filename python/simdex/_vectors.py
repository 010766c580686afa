"""Indexes over bare vectors, without SQLite."""

from __future__ import annotations

from typing import Any, NamedTuple

from simdex import _native


class Neighbor(NamedTuple):
    """A row found: its number, and its score under the index's metric."""

    row: int
    score: float


class Flat:
    """An exact index over rows in memory: the answer of a full scan, several times faster.

    `rows` is a numpy array (n, dim) of floats, another buffer, or a sequence of vectors.
    """

    def __init__(self, rows: Any, *, metric: str = "cosine") -> None:
        self._native = _native.Flat(rows, metric)

    def __len__(self) -> int:
        return len(self._native)

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return self._native.dim

    def search(self, query: Any, k: int = 10) -> list[Neighbor]:
        """The `k` closest rows, closest first; fewer where there are fewer."""
        return [Neighbor(*found) for found in self._native.search(query, k)]

    def search_batch(self, queries: Any, k: int = 10) -> tuple[memoryview, memoryview]:
        """Rows (int64) and scores (float64), each of shape (queries, min(k, n)).

        `numpy.asarray` takes them without a copy.
        """
        rows, scores = self._native.search_batch(queries, k)
        width = min(k, len(self))
        shape = (len(rows) // 8 // width if width else 0, width)
        return memoryview(rows).cast("q", shape), memoryview(scores).cast("d", shape)
