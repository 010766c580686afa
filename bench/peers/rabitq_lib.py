"""rabitqlib's SymqgIndex: SymphonyQG, a graph whose nodes carry their neighbours' 1-bit codes."""

import rabitqlib

from .base import Parameters, Rows, Vectors


class Adapter:
    package = "rabitqlib"
    settings = "SymqgIndex R 32, ef 200, init pipnn"

    def build(self, base: Vectors, threads: int) -> rabitqlib.SymqgIndex:
        # Of unit vectors, squared distances order as inner products do.
        index = rabitqlib.SymqgIndex(dim=base.shape[1], max_degree=32, metric="l2")
        index.build(base, ef_construction=200, num_threads=threads, init="pipnn")
        return index

    def sweep(self, k: int) -> list[Parameters]:
        widths = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 480, 720, 1000]
        return [{"ef": ef} for ef in widths if ef >= k]

    def search_batch(
        self, index: rabitqlib.SymqgIndex, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        return index.search_batch(queries, k, parameters["ef"], num_threads=1)[0].astype("int64")

    def search_one(
        self, index: rabitqlib.SymqgIndex, query: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        return index.search(query[None], k, parameters["ef"], num_threads=1)[0].reshape(-1)
