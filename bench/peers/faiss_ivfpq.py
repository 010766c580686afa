"""faiss IVF-PQ with FastScan codes, the best candidates scored anew from floats."""

import math

import faiss

from .base import Parameters, Rows, Vectors


class Adapter:
    package = "faiss-cpu"
    settings = "IVF, PQ dim/2 x 4 bits FastScan, refined from floats"

    def build(self, base: Vectors, threads: int) -> faiss.Index:
        faiss.omp_set_num_threads(threads)
        rows, dim = base.shape
        # faiss wants 39 to 256 training rows a list; a power of two near four times the root of n.
        lists = min(2 ** round(math.log2(4 * math.sqrt(rows))), max(1, rows // 39))
        factory = f"IVF{lists},PQ{dim // 2}x4fs,RFlat"
        index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
        index.train(base)
        index.add(base)
        faiss.omp_set_num_threads(1)
        return index

    def sweep(self, k: int) -> list[Parameters]:
        probes = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]
        # Few probes don't need many candidates; the frontier keeps the best of each pair.
        return [
            {"nprobe": n, "k_factor": f} for n in probes for f in ((4, 10) if n < 48 else (10, 20))
        ]

    def search_batch(
        self, index: faiss.Index, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        index.k_factor = parameters["k_factor"]
        faiss.extract_index_ivf(index.base_index).nprobe = parameters["nprobe"]
        return index.search(queries, k)[1]

    def search_one(
        self, index: faiss.Index, query: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        # `nprobe` and `k_factor` stay as the batch before it set them.
        return index.search(query[None], k)[1][0]
