"""What the configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ConfigError(Exception):
    """The configuration can't be used as it is."""


@dataclass(frozen=True)
class Entry:
    """A table that can be searched, and how it is indexed."""

    database: str
    table: str
    id: str | None = None
    embedding: str | None = None
    where: str | None = None
    metric: str = "l2"
    # Exact, as datasette-faiss is; a kind that may miss rows is for those who ask for it.
    kind: str = "flat"
    name: str | None = None

    @property
    def index(self) -> str:
        """The name of the index."""
        if self.name is not None:
            return self.name
        table = "".join(character if character.isprintable() else "?" for character in self.table)
        own = f"datasette:{table[:150]}"
        return own if self.metric == "l2" else f"{own}:{self.metric}"


@dataclass(frozen=True)
class Config:
    entries: tuple[Entry, ...]
    index_dir: Path | None = None


def read(datasette: Any) -> Config:
    """Reads the keys `datasette-faiss` and `simdex` of the plugins' configuration."""
    faiss = datasette.plugin_config("datasette-faiss") or {}
    own = datasette.plugin_config("simdex") or {}
    known = {"tables", "index-dir"}
    if unknown := set(own) - known:
        raise ConfigError(f"simdex: unknown keys {sorted(unknown)}; there are {sorted(known)}")
    entries = [_pair(item) for item in faiss.get("tables") or []]
    entries += [_entry(item) for item in own.get("tables") or []]
    folder = own.get("index-dir")
    return Config(tuple(dict.fromkeys(entries)), Path(folder) if folder else None)


def _pair(item: Any) -> Entry:
    if isinstance(item, (list, tuple)) and len(item) == 2:
        return Entry(str(item[0]), str(item[1]), id="id", embedding="embedding")
    raise ConfigError(f"datasette-faiss: tables: [database, table] expected, not {item!r}")


def _entry(item: Any) -> Entry:
    if isinstance(item, (list, tuple)):
        return _pair(item)
    if not isinstance(item, Mapping):
        raise ConfigError(f"simdex: tables: a mapping is expected, not {item!r}")
    known = set(Entry.__dataclass_fields__)
    if unknown := set(item) - known:
        raise ConfigError(
            f"simdex: tables: unknown keys {sorted(unknown)}; there are {sorted(known)}"
        )
    if not {"database", "table"} <= set(item):
        raise ConfigError(f"simdex: tables: `database` and `table` are needed: {dict(item)!r}")
    if item.get("metric", "l2") not in ("l2", "cosine", "dot"):
        raise ConfigError(f"simdex: tables: metric is l2, cosine or dot, not {item['metric']!r}")
    given: dict[str, Any] = {key: str(value) for key, value in item.items() if value is not None}
    return Entry(**given)
