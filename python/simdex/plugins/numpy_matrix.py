"""``numpy-matrix``: all rows in memory, compared by one matrix product. Exact."""

from __future__ import annotations

from typing import Iterable

import numpy as np

from simdex.plugin import Plugin, Settings, serve


class NumpyMatrix(Plugin):
    name = "numpy-matrix"
    requires = ("numpy",)
    about = "exact: the product of a matrix in memory with the query, by numpy"
    exact = True
    filters = True

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        self.vectors = vectors
        self.metric = settings.metric
        # In float64: in float32 the difference of large squares would be noise.
        self.squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> Iterable[Iterable[int]]:
        for query in queries:
            closeness = self.vectors @ query
            if self.metric == "l2":
                closeness = 2.0 * closeness - self.squares
            if allowed is not None:
                closeness = np.where(allowed, closeness, -np.inf)
            best = np.argpartition(-closeness, k - 1)[:k]
            yield best[np.argsort(-closeness[best])]


def main() -> None:
    serve(NumpyMatrix())


if __name__ == "__main__":
    main()
