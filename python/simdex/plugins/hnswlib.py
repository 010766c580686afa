"""``hnswlib``: a hierarchical graph, by the library of its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterable, Mapping

import numpy as np

from simdex.plugin import Integer, Plugin, Settings, serve


class Hnswlib(Plugin):
    name = "hnswlib"
    requires = ("hnswlib",)
    about = "approximate: a hierarchical navigable small-world graph"
    filters = True
    options = [
        Integer("M", 16, "links of each row", minimum=2, maximum=512),
        Integer("ef_construction", 200, "width of the search while building", minimum=2),
        Integer("ef", 100, "width of searches", minimum=1, sweep=[20, 50, 200, 400]),
    ]

    def _index(self, settings: Settings) -> None:
        import hnswlib

        self.space = "l2" if settings.metric == "l2" else "ip"
        self.index = hnswlib.Index(space=self.space, dim=settings.dimensions)
        self.index.set_num_threads(settings.threads)
        self.ef = settings["ef"]

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        self._index(settings)
        self.index.init_index(
            max_elements=max(len(vectors), 1),
            M=settings["M"],
            ef_construction=settings["ef_construction"],
            allow_replace_deleted=True,
        )
        self.rows = set(range(len(vectors)))
        if len(vectors):
            self.index.add_items(vectors, np.arange(len(vectors)))

    def __len__(self) -> int:
        return len(self.rows)

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> Iterable[Iterable[int]]:
        passes = None if allowed is None else lambda row: row < len(allowed) and bool(allowed[row])
        # A filter thins out what a walk sees, so the walk is widened to match.
        share = 1.0 if allowed is None else max(float(allowed.mean()), 0.01)
        ef = int(max(self.ef, k) / share)
        while True:
            self.index.set_ef(min(max(ef, k), max(len(self), k)))
            try:
                found: np.ndarray = self.index.knn_query(queries, k, filter=passes)[0]
                return found.astype(np.int64)
            except RuntimeError:
                # It found fewer than k.
                if ef >= len(self):
                    return self._fewer(queries, k, passes)
                ef *= 4

    def _fewer(
        self, queries: np.ndarray, k: int, passes: Callable[[int], bool] | None
    ) -> Iterable[Iterable[int]]:
        """Some rows can't be reached: as many as can, query by query."""
        for query in queries:
            few = k
            while few:
                try:
                    yield self.index.knn_query(query, few, filter=passes)[0][0].astype(np.int64)
                    break
                except RuntimeError:
                    few //= 2
            else:
                yield []

    def save(self, folder: Path) -> None:
        self.index.save_index(str(folder / "index.hnsw"))
        np.save(folder / "rows.npy", np.fromiter(self.rows, np.uint32, len(self.rows)))

    def load(self, folder: Path, settings: Settings) -> None:
        self._index(settings)
        self.index.load_index(str(folder / "index.hnsw"), allow_replace_deleted=True)
        self.rows = set(np.load(folder / "rows.npy").tolist())

    def remove(self, rows: np.ndarray) -> None:
        for row in rows.tolist():
            if row in self.rows:
                self.index.mark_deleted(row)
                self.rows.discard(row)

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        known = set(self.index.get_ids_list())
        for row in rows.tolist():
            if row in known:
                self.index.unmark_deleted(row)
        needed = len(known) + len(set(rows.tolist()) - known)
        if needed > self.index.get_max_elements():
            self.index.resize_index(needed)
        self.index.add_items(vectors, rows)
        self.rows.update(rows.tolist())

    def stats(self) -> Mapping[str, Any]:
        return {"rows": len(self), "links of each row": self.index.M}


def main() -> None:
    serve(Hnswlib())


if __name__ == "__main__":
    main()
