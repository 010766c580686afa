"""Fresh, exact, fast similarity search over embeddings that live in SQLite.

>>> import simdex
>>> db = simdex.open("embeddings.db")
>>> db.create_index("posts", "posts")
>>> for match in db.similar("posts", "42"):
...     print(match.score, match.id)
"""

from __future__ import annotations

from simdex._database import Answer, Database, Match, Table, open
from simdex._native import (
    AccessError,
    BusyError,
    DamagedError,
    InvalidError,
    NotFoundError,
    SimdexError,
    __version__,
    decode,
    encode,
)
from simdex._vectors import Flat, Neighbor

__all__ = [
    "AccessError",
    "Answer",
    "BusyError",
    "DamagedError",
    "Database",
    "Flat",
    "InvalidError",
    "Match",
    "Neighbor",
    "NotFoundError",
    "SimdexError",
    "Table",
    "__version__",
    "decode",
    "encode",
    "open",
]
