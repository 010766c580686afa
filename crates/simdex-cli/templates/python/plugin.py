"""The simdex index plugin ``my-index``."""

from __future__ import annotations

import numpy as np

from simdex.plugin import Integer, Plugin, Settings, serve


class Index(Plugin):
    name = "my-index"
    version = "0.1.0"
    about = "approximate: rows by their most similar of a few sampled rows"
    options = [
        Integer("lists", 30, "how many rows are sampled", minimum=1),
        Integer("probes", 15, "lists that a search reads", minimum=1, sweep=[1, 5]),
    ]

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        self.l2 = settings.metric == "l2"
        self.probes = settings["probes"]
        self.vectors = vectors
        self.centres = vectors[:: max(1, len(vectors) // settings["lists"])]
        # Row numbers are positions in `vectors`. Under cosine, vectors come at length 1.
        self.list_of_row = np.array([self.closest(self.centres, row)[0] for row in vectors], int)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries, k, allowed):
        for query in queries:
            lists = self.closest(self.centres, query)[: self.probes]
            rows = np.flatnonzero(np.isin(self.list_of_row, lists))
            # Closest first. No scores: simdex computes them, exactly.
            yield rows[self.closest(self.vectors[rows], query)[:k]]

    def closest(self, vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Positions in ``vectors``, closest to ``query`` first."""
        if self.l2:
            return np.argsort(((vectors - query) ** 2).sum(axis=1))
        return np.argsort(-(vectors @ query))


def main() -> None:
    serve(Index())


if __name__ == "__main__":
    main()
