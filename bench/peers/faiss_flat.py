"""faiss IndexFlatIP: exact, by a matrix product for batches and a scan for one query."""

import faiss

from .base import Parameters, Rows, Vectors


class Adapter:
    package = "faiss-cpu"
    settings = "IndexFlatIP, exact"

    def build(self, base: Vectors, threads: int) -> faiss.Index:
        faiss.omp_set_num_threads(threads)
        index = faiss.IndexFlatIP(base.shape[1])
        index.add(base)
        faiss.omp_set_num_threads(1)
        return index

    def sweep(self, k: int) -> list[Parameters]:
        return [{}]

    def search_batch(
        self, index: faiss.Index, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        return index.search(queries, k)[1]

    def search_one(
        self, index: faiss.Index, query: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        return index.search(query[None], k)[1][0]
