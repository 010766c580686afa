"""The tables of one Datasette that can be searched."""

from __future__ import annotations

import logging
import threading
from collections import deque
from datetime import datetime, timezone
from typing import Any, NamedTuple

from datasette.utils import tilde_decode

from simdex.datasette_plugin import config
from simdex.datasette_plugin.table import Table

logger = logging.getLogger("simdex.datasette")

#: How many errors, and how many notices, are kept for the dashboard.
ERRORS = 50


class Failure(NamedTuple):
    """An error of an SQL function or of a build, or a notice that came with an answer."""

    at: datetime
    what: str
    database: str
    message: str


class Registry:
    """What the plugin keeps for one Datasette."""

    def __init__(self, datasette: Any) -> None:
        self.datasette = datasette
        self.errors: deque[Failure] = deque(maxlen=ERRORS)
        self.notices: deque[Failure] = deque(maxlen=ERRORS)
        self._keeping = threading.Lock()
        found = config.read(datasette)
        self.tables = [Table(entry, found.index_dir, self) for entry in found.entries]

    @classmethod
    def of(cls, datasette: Any) -> Registry:
        """The one of this Datasette."""
        with _creating:
            registry = getattr(datasette, "_simdex", None)
            if registry is None:
                registry = datasette._simdex = cls(datasette)
            return registry

    def prepare_in_background(self) -> None:
        """Builds what isn't built yet; searches don't wait for it."""
        for table in self.tables:
            if table.is_file():
                table.prepare_in_background()

    def database(self, name: str) -> Any | None:
        """Datasette's database of this name, else the one that differs in case only."""
        databases = self.datasette.databases
        if name in databases:
            return databases[name]
        same = [found for known, found in databases.items() if known.lower() == name.lower()]
        return same[0] if len(same) == 1 else None

    def database_of_route(self, route: str) -> Any | None:
        """Datasette's database with this name in addresses."""
        try:
            return self.datasette.get_database(route=tilde_decode(route))
        except KeyError:
            return None

    def find(self, database: str, table: str, metric: str | None) -> Table | None:
        """The table as configured; of several indexes the one with this metric, if there is one."""
        wanted = (database.lower(), table.lower())
        found = [item for item in self.tables if item.key == wanted]
        fitting = [item for item in found if metric is None or item.entry.metric == metric]
        return next(iter(fitting or found), None)

    def noticed(self, what: str, database: str, message: str) -> None:
        """Keeps what an answer, right all the same, came with; the same again replaces it."""
        with self._keeping:
            known = [kept for kept in self.notices if kept[1:] == (what, database, message)]
            for kept in known:
                self.notices.remove(kept)
            self.notices.append(Failure(datetime.now(timezone.utc), what, database, message))
        if not known:
            logger.warning("%s on database %s: %s", what, database, message)

    def failed(self, what: str, database: str, error: BaseException) -> None:
        """Logs an error and keeps it: SQLite hides the reasons of errors in functions."""
        message = str(error) or type(error).__name__
        self.errors.append(Failure(datetime.now(timezone.utc), what, database, message))
        logger.warning("%s on database %s: %s", what, database, message)


_creating = threading.Lock()
