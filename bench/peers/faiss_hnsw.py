"""faiss IndexHNSWFlat: HNSW over floats."""

import faiss

from .base import Parameters, Rows, Vectors


class Adapter:
    package = "faiss-cpu"
    settings = "HNSW32, efC 200"

    def build(self, base: Vectors, threads: int) -> faiss.Index:
        faiss.omp_set_num_threads(threads)
        index = faiss.IndexHNSWFlat(base.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 200
        index.add(base)
        faiss.omp_set_num_threads(1)
        return index

    def sweep(self, k: int) -> list[Parameters]:
        widths = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 480, 720, 1000]
        return [{"ef": ef} for ef in widths if ef >= k]

    def search_batch(
        self, index: faiss.Index, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        index.hnsw.efSearch = parameters["ef"]
        return index.search(queries, k)[1]

    def search_one(
        self, index: faiss.Index, query: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        # `efSearch` stays as the batch before it set it.
        return index.search(query[None], k)[1][0]
