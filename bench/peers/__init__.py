"""The peers by name, each in a file of its own.

A name leads to a module and the arguments of its `Adapter`; nothing is imported before it is
needed, so that no library's threads or memory show up beside another's.
"""

import importlib
from typing import Any

from .base import Peer

# In the order in which they run: quick builds and strong ones first.
NAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "hnswlib": ("hnsw_lib", {}),
    "rabitqlib": ("rabitq_lib", {}),
    "scalable-vs-lvq4x8": ("scalable_vs", {"storage": "lvq4x8"}),
    "scalable-vs-f16": ("scalable_vs", {"storage": "f16"}),
    "faiss-flat": ("faiss_flat", {}),
    "faiss-hnsw": ("faiss_hnsw", {}),
    "faiss-ivfpq": ("faiss_ivfpq", {}),
    "usearch-f32": ("usearch_hnsw", {"storage": "f32"}),
    "usearch-i8": ("usearch_hnsw", {"storage": "i8"}),
    "scann": ("scann_tree", {}),
    "pyvsag": ("vsag_hgraph", {}),
    "turbovec": ("turbovec_flat", {}),
    "sqlite-vec": ("sqlite_vec_flat", {}),
}


def load(name: str) -> Peer:
    module, arguments = NAMES[name]
    adapter = importlib.import_module(f"peers.{module}")
    peer: Peer = adapter.Adapter(**arguments)
    return peer
