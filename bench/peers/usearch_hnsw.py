"""usearch: HNSW over floats or over bytes, without scoring anew."""

from usearch.index import Index

from .base import Parameters, Rows, Vectors


class Adapter:
    package = "usearch"

    def __init__(self, storage: str) -> None:
        self.storage = storage
        self.settings = f"{storage}, M 16, efC 200"

    def build(self, base: Vectors, threads: int) -> Index:
        index = Index(
            ndim=base.shape[1],
            metric="ip",
            dtype=self.storage,
            connectivity=16,
            expansion_add=200,
        )
        # None asks for consecutive keys, which are the row numbers.
        index.add(None, base, threads=threads)
        return index

    def sweep(self, k: int) -> list[Parameters]:
        widths = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 480, 720, 1000]
        return [{"ef": ef} for ef in widths if ef >= k]

    def search_batch(
        self, index: Index, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        index.expansion_search = parameters["ef"]
        return index.search(queries, k, threads=1).keys.astype("int64")

    def search_one(self, index: Index, query: Vectors, k: int, parameters: Parameters) -> Rows:
        # `expansion_search` stays as the batch before it set it.
        return index.search(query, k, threads=1).keys.astype("int64")
