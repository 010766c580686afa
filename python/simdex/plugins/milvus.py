"""``milvus``: a collection of a Milvus server, through the client of its makers.

Tested with Milvus Lite, which has the server's API but another engine. Searches ask for strong
consistency, so that they see what was sent before. Each build is a collection of its own, which is
dropped when it is no longer needed.
"""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np

from simdex.plugin import Integer, Settings, Text, serve
from simdex.plugins._remote import Remote, place

STRONG = "Strong"

#: gRPC's names for what another attempt may mend.
PASSING = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "CANCELLED"}


class Milvus(Remote):
    name = "milvus"
    requires = ("pymilvus",)
    about = "approximate: HNSW on a Milvus server; tested with Milvus Lite: the API, not the engine"
    most = 16_384
    options = [
        Text("url", "", "where the server is, if SIMDEX_MILVUS_URL does not say"),
        Integer("M", 16, "links of each row", minimum=2, maximum=2048),
        Integer("ef_construction", 200, "width of the search while building", minimum=1),
        Integer("ef", 100, "width of searches", minimum=1, sweep=[32, 64, 200, 400]),
        Integer("timeout", 10, "seconds for a request", minimum=1),
    ]

    def connect(self, options: Mapping[str, Any], known: str = "") -> str:
        from pymilvus import MilvusClient

        self.ef, self.timeout = options["ef"], options["timeout"]
        there = place(options["url"], "http://127.0.0.1:19530", "SIMDEX_MILVUS")
        self.client = MilvusClient(there.url, token=there.secret, timeout=self.timeout)
        return there.url

    def create(self, name: str, settings: Settings) -> None:
        from pymilvus import DataType

        self.discard(name)
        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("row", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=settings.dimensions)
        index = self.client.prepare_index_params()
        # Cosine comes as vectors of length 1.
        index.add_index(
            "vector",
            index_type="HNSW",
            metric_type="L2" if settings.metric == "l2" else "IP",
            params={"M": settings["M"], "efConstruction": settings["ef_construction"]},
        )
        self.client.create_collection(
            name,
            schema=schema,
            index_params=index,
            consistency_level=STRONG,
            timeout=self.timeout,
        )

    def discard(self, name: str) -> None:
        if self.client.has_collection(name, timeout=self.timeout):
            self.client.drop_collection(name, timeout=self.timeout)

    def upsert(self, name: str, rows: list[int], vectors: np.ndarray) -> None:
        data = [{"row": row, "vector": vector} for row, vector in zip(rows, vectors)]
        self.client.upsert(name, data, timeout=self.timeout)

    def delete(self, name: str, rows: list[int]) -> None:
        self.client.delete(name, ids=rows, timeout=self.timeout)

    def find(self, name: str, queries: np.ndarray, k: int) -> list[list[int]]:
        found: Any = self.client.search(
            name,
            data=list(queries),
            limit=k,
            search_params={"params": {"ef": max(self.ef, k)}},
            consistency_level=STRONG,
            timeout=self.timeout,
        )
        return [[int(hit["row"]) for hit in hits] for hits in found]

    def is_passing(self, error: Exception) -> bool:
        import grpc
        from pymilvus import MilvusException

        code = error.code() if isinstance(error, grpc.RpcError) else getattr(error, "code", None)
        if isinstance(code, grpc.StatusCode):
            return code.name in PASSING
        # 2: there is no connection.
        return isinstance(error, MilvusException) and code == 2


def main() -> None:
    serve(Milvus())


if __name__ == "__main__":
    main()
