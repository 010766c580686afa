"""VSAG's HGraph: a flat graph over bytes, the best candidates scored anew from floats."""

import json

import numpy as np
import pyvsag

from .base import Parameters, Rows, Vectors


class Adapter:
    package = "pyvsag"
    settings = "hgraph sq8_uniform, reordered, degree 32, efC 200"

    def build(self, base: Vectors, threads: int) -> pyvsag.Index:
        rows, dim = base.shape
        described = {
            "dtype": "float32",
            "metric_type": "ip",
            "dim": dim,
            "index_param": {
                "base_quantization_type": "sq8_uniform",
                "use_reorder": True,
                "precise_quantization_type": "fp32",
                "max_degree": 32,
                "ef_construction": 200,
                "build_thread_count": threads,
            },
        }
        index = pyvsag.Index("hgraph", json.dumps(described))
        index.build(vectors=base.reshape(-1), ids=np.arange(rows, dtype=np.int64), num_elements=rows, dim=dim)
        return index

    def sweep(self, k: int) -> list[Parameters]:
        widths = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 480, 720, 1000]
        return [{"ef": ef} for ef in widths if ef >= k]

    def search_batch(
        self, index: pyvsag.Index, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        # The Python package has no batch call.
        return np.stack([self.search_one(index, query, k, parameters) for query in queries])

    def search_one(
        self, index: pyvsag.Index, query: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        described = json.dumps({"hgraph": {"ef_search": parameters["ef"]}})
        return np.asarray(index.knn_search(vector=query, k=k, parameters=described)[0])
