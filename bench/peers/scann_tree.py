"""ScaNN: a tree of partitions, anisotropic 4-bit codes, the best candidates scored anew."""

import math

import scann

from .base import Parameters, Rows, Vectors


class Adapter:
    package = "scann"
    settings = "tree-AH, 2 dimensions a block, reordered"

    def build(self, base: Vectors, threads: int) -> object:
        rows = len(base)
        leaves = max(16, round(2 * math.sqrt(rows)))
        builder = scann.scann_ops_pybind.builder(base, 10, "dot_product")
        builder.set_n_training_threads(threads)
        builder.tree(num_leaves=leaves, num_leaves_to_search=leaves // 10, training_sample_size=rows)
        builder.score_ah(2, anisotropic_quantization_threshold=0.2)
        builder.reorder(100)
        return builder.build()

    def sweep(self, k: int) -> list[Parameters]:
        leaves = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]
        # Few leaves don't need many candidates; the frontier keeps the best of each pair.
        return [
            {"leaves": n, "reorder": r * k} for n in leaves for r in ((4, 10) if n < 48 else (10, 20))
        ]

    def search_batch(
        self, index: object, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        # `search_batched` stays on one thread; its sister is `search_batched_parallel`.
        return index.search_batched(  # type: ignore[attr-defined]
            queries,
            final_num_neighbors=k,
            pre_reorder_num_neighbors=parameters["reorder"],
            leaves_to_search=parameters["leaves"],
        )[0]

    def search_one(self, index: object, query: Vectors, k: int, parameters: Parameters) -> Rows:
        return index.search(  # type: ignore[attr-defined]
            query,
            final_num_neighbors=k,
            pre_reorder_num_neighbors=parameters["reorder"],
            leaves_to_search=parameters["leaves"],
        )[0]
