"""``faiss``: any index that FAISS's ``index_factory`` makes from a text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterable, Mapping

import numpy as np

from simdex.plugin import Integer, Plugin, Settings, Text, serve


#: So few rows that can't train an index are kept in a Flat one.
FEW = 10_000


class Faiss(Plugin):
    name = "faiss"
    requires = ("faiss-cpu",)
    about = "any index_factory string: Flat, HNSW32, IVF1024,PQ32 …"
    options = [
        Text("factory", "HNSW32", "what faiss.index_factory makes"),
        Integer("nprobe", 16, "lists that a search of an IVF index reads", minimum=1, sweep=[1, 4, 64]),
        Integer("ef", 64, "width of searches of an HNSW index", minimum=1, sweep=[16, 256]),
        Integer("ef_construction", 80, "width of building an HNSW index", minimum=1),
        Integer("seed", 1234, "for training"),
    ]

    def _tune(self, settings: Settings) -> None:
        import faiss

        faiss.omp_set_num_threads(settings.threads)
        space = faiss.ParameterSpace()
        for name, value in [
            ("nprobe", settings["nprobe"]),
            ("efSearch", settings["ef"]),
            ("efConstruction", settings["ef_construction"]),
        ]:
            try:
                space.set_index_parameter(self.index, name, value)
            except RuntimeError:
                pass  # The index has no such parameter.

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        import faiss

        vectors = np.ascontiguousarray(vectors)
        metric = faiss.METRIC_L2 if settings.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        try:
            self.index = faiss.index_factory(settings.dimensions, settings["factory"], metric)
        except RuntimeError as error:
            raise ValueError(f"factory={settings['factory']}: {_last_words(error)}") from None
        if not self.index.is_trained:
            try:
                self.index.train(vectors)
            except RuntimeError as error:
                if len(vectors) > FEW:
                    raise ValueError(
                        f"factory={settings['factory']} can't be trained on {len(vectors)} rows: "
                        f"{_last_words(error)}"
                    ) from None
                self.index = faiss.index_factory(settings.dimensions, "Flat", metric)
        self._tune(settings)
        if len(vectors):
            self.index.add(vectors)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> Iterable[Iterable[int]]:
        found: np.ndarray = self.index.search(np.ascontiguousarray(queries), k)[1]
        return found

    def save(self, folder: Path) -> None:
        import faiss

        faiss.write_index(self.index, str(folder / "index.faiss"))

    def load(self, folder: Path, settings: Settings) -> None:
        import faiss

        self.index = faiss.read_index(str(folder / "index.faiss"))
        self._tune(settings)

    def stats(self) -> Mapping[str, Any]:
        return {"rows": len(self), "class": type(self.index).__name__}


def _last_words(error: Exception) -> str:
    """What FAISS says, without where in its source it says so."""
    text = str(error)
    return re.split(r"\.(?:cpp|h):\d+: ", text)[-1].removeprefix("Error: ").strip() or text


def main() -> None:
    serve(Faiss())


if __name__ == "__main__":
    main()
