"""turbovec: every row scanned in 4-bit TurboQuant codes, without scoring anew."""

import turbovec

from .base import Parameters, Rows, Vectors


class Adapter:
    package = "turbovec"
    settings = "4 bits a dimension, calibrated, flat"

    def build(self, base: Vectors, threads: int) -> turbovec.TurboQuantIndex:
        index = turbovec.TurboQuantIndex(dim=base.shape[1], bit_width=4)
        # A sample is what its documentation recommends for recall; then the rows are encoded.
        index.calibrate(base[: 20_000])
        index.add(base)
        index.prepare()
        return index

    def sweep(self, k: int) -> list[Parameters]:
        return [{}]

    def search_batch(
        self, index: turbovec.TurboQuantIndex, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        return index.search(queries, k)[1].astype("int64")

    def search_one(
        self, index: turbovec.TurboQuantIndex, query: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        return index.search(query[None], k)[1][0].astype("int64")
