"""sqlite-vec: a vec0 table in memory, every row scanned."""

import numpy as np
import sqlite_vec

from .base import Parameters, Rows, Vectors

# Not every Python lets its own sqlite3 load extensions; apsw always does.
import apsw


class Adapter:
    package = "sqlite-vec"
    settings = "vec0 in memory, exact"

    def build(self, base: Vectors, threads: int) -> apsw.Connection:
        database = apsw.Connection(":memory:")
        database.enable_load_extension(True)
        database.load_extension(sqlite_vec.loadable_path())
        database.execute(
            f"create virtual table v using vec0(e float[{base.shape[1]}] distance_metric=cosine)"
        )
        rows = ((row, vector.tobytes()) for row, vector in enumerate(base))
        with database:
            database.executemany("insert into v(rowid, e) values (?, ?)", rows)
        return database

    def sweep(self, k: int) -> list[Parameters]:
        return [{}]

    def search_batch(
        self, index: apsw.Connection, queries: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        return np.stack([self.search_one(index, query, k, parameters) for query in queries])

    def search_one(
        self, index: apsw.Connection, query: Vectors, k: int, parameters: Parameters
    ) -> Rows:
        found = index.execute(
            "select rowid from v where e match ? and k = ? order by distance", (query.tobytes(), k)
        )
        return np.array([row for (row,) in found], dtype=np.int64)
