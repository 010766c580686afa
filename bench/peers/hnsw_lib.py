"""hnswlib: HNSW over floats; what most stores build on, and the yardstick of the table."""

import hnswlib

from .base import Parameters, Rows, Vectors


class Adapter:
    package = "hnswlib"
    settings = "M 16, efC 200"

    def build(self, base: Vectors, threads: int) -> hnswlib.Index:
        index = hnswlib.Index(space="ip", dim=base.shape[1])
        index.init_index(max_elements=len(base), M=16, ef_construction=200, random_seed=1)
        index.add_items(base, num_threads=threads)
        index.set_num_threads(1)
        return index

    def sweep(self, k: int) -> list[Parameters]:
        widths = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 480, 720, 1000]
        return [{"ef": ef} for ef in widths if ef >= k]

    def search_batch(
        self, index: hnswlib.Index, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        index.set_ef(parameters["ef"])
        return index.knn_query(queries, k)[0]

    def search_one(
        self, index: hnswlib.Index, query: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        # `ef` stays as the batch before it set it.
        return index.knn_query(query, k)[0][0]
