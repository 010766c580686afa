"""``usearch``: a graph with compact vectors, by the library of its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable, Mapping

import numpy as np

from simdex.plugin import Choice, Integer, Plugin, Settings, serve


class Usearch(Plugin):
    name = "usearch"
    requires = ("usearch",)
    about = "approximate: a navigable small-world graph over vectors of a chosen precision"
    options = [
        Choice("dtype", "f16", "how vectors are kept", choices=["f32", "bf16", "f16", "i8"]),
        Integer("connectivity", 16, "links of each row", minimum=2),
        Integer("expansion_add", 128, "width of the search while building", minimum=1),
        Integer("expansion_search", 96, "width of searches", minimum=1, sweep=[16, 32, 64, 256]),
    ]

    def _index(self, settings: Settings) -> Any:
        from usearch.index import Index

        self.threads = settings.threads
        self.width = settings["expansion_search"]
        return Index(
            ndim=settings.dimensions,
            metric={"cosine": "cos", "l2": "l2sq", "dot": "ip"}[settings.metric],
            dtype=settings["dtype"],
            connectivity=settings["connectivity"],
            expansion_add=settings["expansion_add"],
            expansion_search=settings["expansion_search"],
        )

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        self.index = self._index(settings)
        if len(vectors):
            self.index.add(np.arange(len(vectors)), np.asarray(vectors), threads=self.threads)

    def __len__(self) -> int:
        return len(self.index)

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> Iterable[Iterable[int]]:
        found = self.index.search(queries, k, threads=self.threads)
        if len(queries) == 1:
            return [np.atleast_1d(found.keys).astype(np.int64)]
        counts = found.counts
        return [keys[:count].astype(np.int64) for keys, count in zip(found.keys, counts)]

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index.usearch"))

    def load(self, folder: Path, settings: Settings) -> None:
        self.index = self._index(settings)
        self.index.load(str(folder / "index.usearch"))
        self.index.expansion_search = self.width

    def remove(self, rows: np.ndarray) -> None:
        present = rows[np.atleast_1d(self.index.contains(rows))]
        if len(present):
            self.index.remove(present)

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        self.index.add(rows, np.asarray(vectors), threads=self.threads)

    def stats(self) -> Mapping[str, Any]:
        return {"rows": len(self), "levels": self.index.max_level}


def main() -> None:
    serve(Usearch())


if __name__ == "__main__":
    main()
