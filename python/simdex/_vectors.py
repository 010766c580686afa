"""Indexes over bare vectors, without SQLite."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from simdex import _native

if TYPE_CHECKING:
    from typing_extensions import Self

    from simdex._database import Progress


class Hit(NamedTuple):
    """A vector found: its id, and its score under the index's metric."""

    id: int
    score: float


class _Index:
    """Vectors in memory or in a mapped file, under an index.

    `metric` is `cosine` or `dot` (higher is closer) or `l2` (squared distance, lower is closer).
    Rows are a numpy array (n, dim) of float16, float32 or float64, another buffer, or a sequence
    of vectors. Ids are integers from 0 to 2**63 - 1. Searches from several threads run side by
    side; `threads` bounds those that one call uses.
    """

    _kind: str

    def __init__(
        self, metric: str = "cosine", *, threads: int | None = None, **options: object
    ) -> None:
        self._metric = metric
        self._threads = threads
        self._options = {key: str(value) for key, value in options.items()}
        self._native: _native.Vectors | None = None

    def fit(
        self, rows: Any, *, ids: Iterable[int] | None = None, progress: Progress | None = None
    ) -> Self:
        """Index these rows, and no others; returns the index.

        Without `ids` they are row numbers. Raises `InvalidError` for rows of different sizes, NaN
        or infinite values and, under cosine, zero vectors. Ctrl-C stops it.
        """
        recipe = (self._kind, self._metric, self._options)
        self._native = _native.Vectors.build(rows, _listed(ids), recipe, self._threads, progress)
        return self

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, threads: int | None = None) -> Self:
        """Map a file that `save` wrote: nothing is read until it is searched.

        Raises `NotFoundError`, `DamagedError`, and `InvalidError` when it holds another kind.
        """
        native = _native.Vectors.open(Path(path), threads)
        if native.kind != cls._kind:
            raise _native.InvalidError(f"{path} holds an index of kind {native.kind}")
        index = cls(native.metric, threads=threads)
        index._native = native
        return index

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a file, replacing what is there in one step."""
        self._fitted().save(Path(path))

    def add(self, rows: Any, *, ids: Iterable[int] | None = None) -> list[int]:
        """Add rows; returns their ids. They are found at once.

        `InvalidError` when an id is taken; then nothing is added.
        """
        return self._fitted().add(rows, _listed(ids))

    def remove(self, ids: Iterable[int]) -> int:
        """Remove the vectors with these ids; returns how many there were."""
        return self._fitted().remove(list(ids))

    def search(self, query: Any, k: int = 10) -> list[Hit]:
        """The `k` closest vectors, closest first, ties by id; fewer where there are fewer."""
        return [Hit(*found) for found in self._fitted().search(query, k)]

    def search_batch(
        self, queries: Any, k: int = 10
    ) -> tuple[memoryview[int], memoryview[float]]:
        """Ids (int64) and scores (float64), each of shape (queries, min(k, n)).

        `numpy.asarray` takes them without a copy. Faster than one query at a time.
        """
        rows, (ids, scores) = self._fitted().search_batch(queries, k)
        width = len(ids) // 8 // rows if rows else 0
        if not ids:
            # memoryview has no empty shapes of two dimensions.
            return memoryview(ids).cast("q"), memoryview(scores).cast("d")
        return (
            memoryview(ids).cast("q", (rows, width)),
            memoryview(scores).cast("d", (rows, width)),
        )

    def __len__(self) -> int:
        return 0 if self._native is None else len(self._native)

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return self._fitted().dim

    @property
    def metric(self) -> str:
        """`cosine`, `l2` or `dot`."""
        return self._metric

    @property
    def facts(self) -> dict[str, str]:
        """What the structure tells about itself."""
        return dict(self._fitted().facts)

    def __repr__(self) -> str:
        size = f"{len(self)} × {self.dim}" if self._native is not None else "empty"
        return f"<simdex.{type(self).__name__} {self._metric}, {size}>"

    def _fitted(self) -> _native.Vectors:
        if self._native is None:
            raise _native.InvalidError("there are no vectors yet: call fit first")
        return self._native


class Flat(_Index):
    """An exact index: the answer of a full scan, several times faster.

    >>> index = simdex.Flat("cosine").fit(rows)
    >>> index.search(query, k=5)
    """

    _kind = "flat"


class Graph(_Index):
    """An approximate index: far fewer comparisons than rows.

    Which vectors it finds is approximate, never what they score. Options are those of the kind:
    `Graph("cosine", recall=0.99)`; see `simdex index create --help`.
    """

    _kind = "graph"

    def set(self, name: str, value: object) -> None:
        """Set an option that applies to searches, such as `recall`, without building anew."""
        self._fitted().set(name, str(value))


def _listed(ids: Iterable[int] | None) -> list[int] | None:
    return None if ids is None else [int(id) for id in ids]
