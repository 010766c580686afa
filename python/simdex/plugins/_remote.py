"""What index plugins over a server have in common.

Rows are kept by their number, so that sending one twice is the same as once: where a connection
breaks in the middle of a batch, the batch is sent again. What a folder holds is only where the rows
are; it says so before they are there, so that what a build leaves can be found however it ends.

Where the server is may come with an index's definition, and so from somebody else: secrets are those
of the environment, and go only to the server that the environment names.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterable, Mapping, Sequence, TypeVar
from urllib.parse import urlsplit

import numpy as np

from simdex.plugin import Plugin, Settings

T = TypeVar("T")

#: How long builds and updates wait before another attempt, in seconds.
PAUSES = (0.1, 0.3, 1, 3, 5)

#: The file that says where the rows are.
NOTE = "place.json"

#: Names of places.
OURS = re.compile("simdex_[0-9a-f]{16}")

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

    #: Rows that are sent at once, at most.
    batch = 1000
    #: Bytes of vectors that are sent at once, at most.
    batch_of_bytes = 8_000_000
    #: Bytes of a number that is sent.
    bytes_of_a_number = 4
    #: Rows that are removed at once.
    batch_of_deletes = 1000
    #: Queries that are sent at once.
    batch_of_queries = 100
    #: The most rows that a search returns.
    most = 10_000
    #: How long builds and updates wait before another attempt, in seconds.
    pauses: Sequence[float] = PAUSES

    def connect(self, options: Mapping[str, Any], known: str = "") -> str:
        """Get ready to talk to the server; ``known`` is where an earlier build is. Returns where it
        is, without secrets."""
        raise NotImplementedError

    def create(self, name: str, settings: Settings) -> None:
        """Make an empty place; an attempt that broke may have left a part of it."""
        raise NotImplementedError

    def discard(self, name: str) -> None:
        """Remove a place with all that is in it; there may be none."""
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

    def pause(self, error: Exception, usual: float) -> float:
        """How long to wait before another attempt, ``usual`` seconds if the server has not said."""
        return usual

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def settle(self) -> None:
        """Wait until searches see what was sent, on servers where that is not at once."""

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        self.close()
        self.address = self._try(lambda: self.connect(settings.options))
        name = f"simdex_{secrets.token_hex(8)}"
        self.name_there, self.is_saved = name, False
        self.rows = np.zeros(0, bool)
        if settings.folder is not None:
            self._note(settings.folder)
        self._try(lambda: self.create(name, settings))
        try:
            self.add(np.arange(len(vectors)), vectors)
        except Exception:
            self.close()
            raise

    def load(self, folder: Path, settings: Settings) -> None:
        noted = self._noted(folder)
        if noted is None:
            raise ValueError("there is no note of where the rows are")
        self.address = self.connect(settings.options, noted["server"])
        self.name_there, self.is_saved = noted["name"], True
        self.recall(noted)
        self.rows = np.load(folder / "rows.npy")

    def save(self, folder: Path) -> None:
        self._note(folder)
        np.save(folder / "rows.npy", self.rows)
        self.is_saved = True

    def drop(self, folder: Path, kept: Path | None, options: Mapping[str, Any]) -> None:
        gone, stays = self._noted(folder), self._noted(kept) if kept else None
        if gone is None:
            return
        if kept and stays is None:
            raise RuntimeError(f"{kept} does not say what it needs")
        if stays and stays["name"] == gone["name"]:
            return
        # Few attempts: somebody waits, and there will be another.
        address = self._try(lambda: self.connect(options, gone["server"]), PAUSES[:2])
        if address != gone["server"]:
            raise ValueError(f"`{gone['name']}` is on {gone['server']}, and not on {address}")
        self._try(lambda: self.discard(gone["name"]), PAUSES[:2])

    def remember(self) -> Mapping[str, Any]:
        """What else to note with the rows' place."""
        return {}

    def recall(self, noted: Mapping[str, Any]) -> None:
        """Take up what :meth:`remember` gave."""

    def _note(self, folder: Path) -> None:
        noted = {"name": self.name_there, "server": self.address, **self.remember()}
        new = folder / f"{NOTE}.new"
        new.write_text(json.dumps(noted) + "\n")
        new.replace(folder / NOTE)

    def _noted(self, folder: Path) -> dict[str, Any] | None:
        """What a folder says of the rows' place; None: nothing."""
        try:
            noted: dict[str, Any] = json.loads((folder / NOTE).read_text())
        except FileNotFoundError:
            return None
        # An index may come from somebody else: it names no place that a plugin has not made.
        if not OURS.fullmatch(noted["name"]):
            raise ValueError(f"{folder / NOTE} names no place of ours")
        return noted

    def close(self) -> None:
        """Leaves nothing behind that no folder knows of."""
        if getattr(self, "name_there", None) and not self.is_saved:
            try:
                self.discard(self.name_there)
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
        row = self.bytes_of_a_number * vectors.shape[1]
        size = max(1, min(self.batch, self.batch_of_bytes // row))
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
            self.settle()

    def remove(self, rows: np.ndarray) -> None:
        name = self.name_there
        for start in range(0, len(rows), self.batch_of_deletes):
            some = rows[start : start + self.batch_of_deletes].tolist()
            self._try(lambda: self.delete(name, some))  # noqa: B023
        self.rows[rows[rows < len(self.rows)]] = False
        self.settle()

    def stats(self) -> Mapping[str, Any]:
        return {"rows": len(self), "name on the server": self.name_there}

    def _try(self, work: Callable[[], T], pauses: Sequence[float] | None = None) -> T:
        for pause in self.pauses if pauses is None else pauses:
            try:
                return work()
            except Exception as error:
                if not self.is_passing(error):
                    raise
                self.sleep(self.pause(error, pause))
        return work()
