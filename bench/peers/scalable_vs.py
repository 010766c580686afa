"""Intel's Scalable Vector Search: a Vamana graph over compressed vectors.

LVQ is closed source and runs on Intel processors alone; float16 runs everywhere.
"""

import tempfile
from pathlib import Path

import numpy as np
import svs

from .base import Parameters, Rows, Vectors


class Adapter:
    package = "scalable-vs"

    def __init__(self, storage: str) -> None:
        self.storage = storage
        self.settings = f"Vamana R 64, L 200, {storage}"

    def build(self, base: Vectors, threads: int) -> svs.Vamana:
        # alpha below one, as the library asks for similarities.
        described = svs.VamanaBuildParameters(
            alpha=0.95, graph_max_degree=64, window_size=200, max_candidate_pool_size=750
        )
        if self.storage == "f16":
            data = base.astype(np.float16)
            index = svs.Vamana.build(described, data, svs.DistanceType.MIP, num_threads=threads)
        else:
            index = self._compressed(base, described, threads)
        index.num_threads = 1
        return index

    def _compressed(
        self, base: Vectors, described: svs.VamanaBuildParameters, threads: int
    ) -> svs.Vamana:
        with tempfile.TemporaryDirectory() as folder:
            # Vectors reach the compressor through a file only.
            path = str(Path(folder) / "base.fvecs")
            svs.write_vecs(base, path)
            loader = svs.VectorDataLoader(path, svs.DataType.float32, dims=base.shape[1])
            compressed = svs.LVQLoader(loader, primary=4, residual=8)
            return svs.Vamana.build(
                described, compressed, svs.DistanceType.MIP, num_threads=threads
            )

    def sweep(self, k: int) -> list[Parameters]:
        widths = [10, 12, 14, 17, 20, 24, 28, 34, 40, 56, 80, 112, 160, 224, 320, 480]
        return [{"window": window} for window in widths if window >= k]

    def search_batch(
        self, index: svs.Vamana, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        index.search_window_size = parameters["window"]
        return index.search(queries, k)[0].astype("int64")

    def search_one(self, index: svs.Vamana, query: Vectors, k: int, parameters: Parameters) -> Rows:
        # The window stays as the batch before it set it.
        return index.search(query[None], k)[0][0]
