"""What index plugins over a server have in common.

Rows are kept by their number, so that sending one twice is the same as once: where a connection
breaks in the middle of a batch, the batch is sent again. What a folder holds is only where the rows
are.

Where the server is may come with an index's definition, and so from somebody else: secrets are those
of the environment, and go only to the server that the environment names.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterable, Mapping, TypeVar
from urllib.parse import urlsplit

import numpy as np

from simdex.plugin import Plugin, Settings

T = TypeVar("T")

#: How long builds and updates wait before another attempt, in seconds.
PAUSES = (0.1, 0.3, 1, 3, 5)

#: Hosts to which secrets may go without encryption.
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Place:
    """A server, and what opens it."""

    url: str
    secret: str = field(repr=False)


def place(given: str, default: str, variable: str) -> Place:
    """The server ``given`` in the options, else that of the environment's ``{variable}_URL``, else
    the default; with the secret of ``{variable}_TOKEN`` or the first line of the file
    ``{variable}_TOKEN_FILE`` where the environment names this server too."""
    named = os.environ.get(f"{variable}_URL", "")
    url = given or named or default
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"url must hold no password; {variable}_TOKEN may")
    if url != named:
        return Place(url, "")
    secret = os.environ.get(f"{variable}_TOKEN", "")
    file = os.environ.get(f"{variable}_TOKEN_FILE")
    if not secret and file:
        secret = Path(file).read_text().partition("\n")[0].strip()
    if secret and parts.scheme == "http" and parts.hostname not in LOCAL:
        raise ValueError("a token crosses no network over plain http; use https")
    return Place(url, secret)


class Remote(Plugin):
    """A plugin whose rows are on a server, in a place with a name. Override the methods below."""

    #: Rows that are sent at once.
    batch = 1000
    #: Rows that are removed at once.
    batch_of_deletes = 1000
    #: Queries that are sent at once.
    batch_of_queries = 100
    #: The most rows that a search returns.
    most = 10_000

    def connect(self, settings: Settings) -> None:
        """Get ready to talk to the server."""
        raise NotImplementedError

    def create(self, name: str, settings: Settings) -> None:
        """Make an empty place; an attempt that broke may have left a part of it."""
        raise NotImplementedError

    def drop(self, name: str) -> None:
        """Remove a place with all that is in it."""
        raise NotImplementedError

    def upsert(self, name: str, rows: list[int], vectors: np.ndarray) -> None:
        """Put rows in, each in place of that of its number."""
        raise NotImplementedError

    def delete(self, name: str, rows: list[int]) -> None:
        """Take rows out; some may not be there."""
        raise NotImplementedError

    def find(self, name: str, queries: np.ndarray, k: int) -> list[list[int]]:
        """For each query up to ``k`` row numbers, closest first."""
        raise NotImplementedError

    def is_passing(self, error: Exception) -> bool:
        """Whether another attempt may do better."""
        raise NotImplementedError

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        self.close()
        self._try(lambda: self.connect(settings))
        name = f"simdex_{secrets.token_hex(8)}"
        self.name_there, self.is_saved = name, False
        self.rows = np.zeros(0, bool)
        self._try(lambda: self.create(name, settings))
        try:
            self.add(np.arange(len(vectors)), vectors)
        except Exception:
            self.close()
            raise

    def load(self, folder: Path, settings: Settings) -> None:
        self.connect(settings)
        kept = json.loads((folder / "place.json").read_text())
        self.name_there, self.is_saved = kept["name"], True
        self.rows = np.load(folder / "rows.npy")

    def save(self, folder: Path) -> None:
        (folder / "place.json").write_text(json.dumps({"name": self.name_there}) + "\n")
        np.save(folder / "rows.npy", self.rows)
        self.is_saved = True

    def close(self) -> None:
        """Leaves nothing behind that no folder knows of."""
        if getattr(self, "name_there", None) and not self.is_saved:
            try:
                self.drop(self.name_there)
            except Exception as error:
                print(f"{self.name_there} is left on the server: {type(error).__name__}")
        self.name_there = ""

    def __len__(self) -> int:
        return int(self.rows.sum())

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> Iterable[Iterable[int]]:
        name, most = self.name_there, min(k, self.most)
        # About 100,000 rows an answer.
        size = max(1, min(self.batch_of_queries, 100_000 // most))
        for start in range(0, len(queries), size):
            # No second attempt: comparing all rows is quicker than waiting for a server.
            for found in self.find(name, queries[start : start + size], most):
                # Another process may have changes there that this one's index does not know yet.
                yield [row for row in found if 0 <= row < len(self.rows) and self.rows[row]]

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        name = self.name_there
        # About 8 MB of vectors a request.
        size = max(1, min(self.batch, 2_000_000 // vectors.shape[1]))
        for start in range(0, len(rows), size):
            some = rows[start : start + size].tolist()
            part = np.asarray(vectors[start : start + size])
            self._try(lambda: self.upsert(name, some, part))  # noqa: B023
            self.progress(start + len(some), len(rows))
        if len(rows):
            known = np.zeros(max(len(self.rows), int(rows.max()) + 1), bool)
            known[: len(self.rows)] = self.rows
            known[rows] = True
            self.rows = known

    def remove(self, rows: np.ndarray) -> None:
        name = self.name_there
        for start in range(0, len(rows), self.batch_of_deletes):
            some = rows[start : start + self.batch_of_deletes].tolist()
            self._try(lambda: self.delete(name, some))  # noqa: B023
        self.rows[rows[rows < len(self.rows)]] = False

    def stats(self) -> Mapping[str, Any]:
        return {"rows": len(self), "name on the server": self.name_there}

    def _try(self, work: Callable[[], T]) -> T:
        for pause in PAUSES:
            try:
                return work()
            except Exception as error:
                if not self.is_passing(error):
                    raise
            time.sleep(pause)
        return work()
