"""Fresh, exact, fast similarity search over embeddings that live in SQLite.

>>> import simdex
>>> db = simdex.open("embeddings.db")
>>> db.create_index("posts", "posts")
>>> for match in db.similar("posts", "42"):
...     print(match.score, match.id)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simdex._database import Answer, Database, Match, Progress, Table, open
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
    from simdex._vectors import Flat, Graph, Hit

__all__ = [
    "AccessError",
    "Answer",
    "BusyError",
    "DamagedError",
    "Database",
    "Flat",
    "Graph",
    "Hit",
    "InvalidError",
    "Match",
    "NotFoundError",
    "Progress",
    "SimdexError",
    "Table",
    "__version__",
    "decode",
    "encode",
    "open",
]

_HOMES = {
    "simdex._database": {"Answer", "Database", "Match", "Progress", "Table", "open"},
    "simdex._vectors": {"Flat", "Graph", "Hit"},
}


def __getattr__(name: str) -> object:
    # Loaded on first use: a plugin must not break its host where the native module can't be loaded.
    if name not in __all__:
        raise AttributeError(f"module 'simdex' has no attribute {name!r}")
    from importlib import import_module

    homes = (home for home, names in _HOMES.items() if name in names)
    value = getattr(import_module(next(homes, "simdex._native")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
