"""A fake of Pinecone: its API in memory, by brute force, with every request held against it.

The service can't be had in a test. What is accepted here is what its published description
(version 2025-10) and its limits say, in our words; all else is a violation, which fails the test.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator

import jsonschema
import numpy as np

VERSION = "2025-10"
MOST_BYTES = 2_000_000

NAMESPACE = {"type": "string", "minLength": 1, "maxLength": 512, "pattern": "^[!-~]+$"}
ID = {"type": "string", "minLength": 1, "maxLength": 512}
#: That they are numbers is checked by :func:`numbers`: a schema would take seconds.
VALUES = {"type": "array", "minItems": 1, "maxItems": 20_000}


def request(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


RECORD = request(["id", "values"], id=ID, values=VALUES)

#: What may be asked of an index: method, path, and the body, if there is one.
DATA = [
    (
        "POST",
        "/vectors/upsert",
        request(
            ["vectors", "namespace"],
            vectors={"type": "array", "items": RECORD, "minItems": 1, "maxItems": 1000},
            namespace=NAMESPACE,
        ),
    ),
    (
        "POST",
        "/vectors/delete",
        request(
            ["ids", "namespace"],
            ids={"type": "array", "items": ID, "minItems": 1, "maxItems": 1000},
            namespace=NAMESPACE,
        ),
    ),
    (
        "POST",
        "/query",
        request(
            ["topK", "vector", "namespace"],
            topK={"type": "integer", "minimum": 1, "maximum": 10_000},
            vector=VALUES,
            namespace=NAMESPACE,
            includeValues={"const": False},
            includeMetadata={"const": False},
        ),
    ),
    ("POST", "/describe_index_stats", request([])),
    ("DELETE", "/namespaces/(?P<namespace>[!-.0-~]+)", None),
]

#: What may be asked of the control plane.
CONTROL = [("GET", "/indexes/(?P<index>[a-z0-9][a-z0-9-]{0,44})", None)]


class Namespace:
    """Records, and the writes that are not indexed yet."""

    def __init__(self) -> None:
        self.records: dict[str, np.ndarray] = {}
        self.waiting: deque[tuple[str, Any]] = deque()
        self.written = self.indexed = 0

    def write(self, what: str, records: Any) -> int:
        self.waiting.append((what, records))
        self.written += 1
        return self.written

    def index_half(self) -> None:
        for _ in range((len(self.waiting) + 1) // 2):
            self.index_one()

    def index_one(self) -> None:
        what, records = self.waiting.popleft()
        for record in records:
            if what == "upsert":
                self.records[record["id"]] = np.asarray(record["values"], "f4")
            else:
                self.records.pop(record, None)
        self.indexed += 1

    def nearest(self, metric: str, query: np.ndarray, k: int) -> list[dict[str, Any]]:
        if not self.records:
            return []
        rows = np.array(list(self.records.values()), "f8")
        if metric == "euclidean":
            scores = -((rows - query) ** 2).sum(1)
        else:
            scores = rows @ query
        if metric == "cosine":
            scores = scores / np.linalg.norm(rows, axis=1)
        ids = list(self.records)
        best = np.argsort(-scores, kind="stable")[:k]
        return [{"id": ids[row], "score": float(abs(scores[row]))} for row in best]


@dataclass
class Index:
    """A Pinecone index."""

    metric: str
    dimension: int
    spec: str = "serverless"
    kind: str = "dense"
    namespaces: dict[str, Namespace] = field(default_factory=dict)


class Fake:
    """A control plane and the hosts of its indexes. Faults are injected before or after the work of
    a request, from the front of :attr:`faults`: a status, ``cut`` or ``late cut``."""

    def __init__(self, key: str):
        self.key = key
        self.indexes: dict[str, Index] = {}
        self.hosts: dict[str, str] = {}
        self.violations: list[str] = []
        self.asked: list[str] = []
        self.faults: list[int | str] = []
        self.retry_after = "0"
        #: Whether writes are ever indexed; each request to look indexes half of those that wait.
        self.is_indexing = True
        #: Whether answers tell the numbers of writes.
        self.has_numbers = True
        self.lock = threading.Lock()
        self.servers: list[ThreadingHTTPServer] = []
        self.control = self._serve(None)

    def add(self, name: str, index: Index) -> str:
        """Makes an index and returns its host."""
        self.indexes[name] = index
        self.hosts[name] = self._serve(index)
        return self.hosts[name]

    def namespaces(self) -> list[str]:
        return [name for index in self.indexes.values() for name in index.namespaces]

    def close(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def _serve(self, index: Index | None) -> str:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body in one piece, or each answer would wait for an acknowledgement.
            wbufsize = -1

            def handle_any(self) -> None:
                fake.answer(self, index)

            do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self.servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    def answer(self, http: BaseHTTPRequestHandler, index: Index | None) -> None:
        length = int(http.headers.get("Content-Length") or 0)
        data = http.rfile.read(length)
        with self.lock:
            self.asked.append(f"{http.command} {http.path}")
            fault = self.faults.pop(0) if self.faults else None
            if fault == "cut":
                http.close_connection = True
                return
            if isinstance(fault, int) and fault:
                self.say(http, fault, {"message": f"refused, whatever {self.key} says"})
                return
            try:
                status, body, headers = self.work(http, data, index)
            except Violation as error:
                self.violations.append(f"{http.command} {http.path}: {error}")
                status, body, headers = 400, {"message": str(error)}, {}
            if fault == "late cut":
                http.close_connection = True
                return
        self.say(http, status, body, headers)

    def say(
        self, http: Any, status: int, body: Any, headers: dict[str, str] | None = None
    ) -> None:
        data = json.dumps(body).encode()
        http.send_response(status)
        if status == 429:
            http.send_header("Retry-After", self.retry_after)
        for name, value in (headers or {}).items():
            http.send_header(name, value)
        http.send_header("Content-Type", "application/json")
        http.send_header("Content-Length", str(len(data)))
        http.end_headers()
        http.wfile.write(data)

    def work(
        self, http: Any, data: bytes, index: Index | None
    ) -> tuple[int, Any, dict[str, str]]:
        check(http.headers.get_all("X-Pinecone-Api-Version") == [VERSION], "no or another version")
        keys = http.headers.get_all("Api-Key") or []
        check(len(keys) == 1, f"{len(keys)} keys")
        if keys != [self.key]:
            return 401, {"message": f"Invalid API key {keys[0]}"}, {}
        method, path = http.command, http.path
        for known, pattern, schema in CONTROL if index is None else DATA:
            found = re.fullmatch(pattern, path)
            if known == method and found:
                break
        else:
            raise Violation("no such method and path")
        if index is None:
            return self.describe(found["index"])
        check(http.headers.get("Transfer-Encoding") is None, "chunked")
        if schema is None:
            check(not data, "a body")
            return self.delete_namespace(index, found["namespace"])
        check(http.headers.get_content_type() == "application/json", "not JSON by its type")
        check(len(data) <= MOST_BYTES, f"{len(data)} bytes")
        try:
            body = json.loads(data, parse_constant=lambda text: check(False, text))
        except ValueError as error:
            raise Violation(f"not JSON: {error}") from None
        wrong = next(jsonschema.Draft202012Validator(schema).iter_errors(body), None)
        check(wrong is None, f"{wrong and wrong.message[:200]}")
        return getattr(self, path.rpartition("/")[2])(index, body)

    def describe(self, name: str) -> tuple[int, Any, dict[str, str]]:
        index = self.indexes.get(name)
        if index is None:
            said = {"code": "NOT_FOUND", "message": f"Index {name} not found"}
            return 404, {"status": 404, "error": said}, {}
        described = {
            "name": name,
            "host": self.hosts[name],
            "metric": index.metric,
            "dimension": index.dimension,
            "vector_type": index.kind,
            "spec": {index.spec: {}},
            "status": {"ready": True, "state": "Ready"},
        }
        return 200, described, {}

    def upsert(self, index: Index, body: Any) -> tuple[int, Any, dict[str, str]]:
        records = body["vectors"]
        for record in records:
            numbers(record["values"], index.dimension)
            check(any(record["values"]), "a dense vector of zeros")
        check(len({record["id"] for record in records}) == len(records), "an id twice")
        space = index.namespaces.setdefault(body["namespace"], Namespace())
        number = space.write("upsert", records)
        return 200, {"upsertedCount": len(records)}, self.numbered("request", number)

    def delete(self, index: Index, body: Any) -> tuple[int, Any, dict[str, str]]:
        space = index.namespaces.get(body["namespace"])
        if space is None:
            return 404, {"message": "Namespace not found"}, {}
        return 200, {}, self.numbered("request", space.write("delete", body["ids"]))

    def query(self, index: Index, body: Any) -> tuple[int, Any, dict[str, str]]:
        numbers(body["vector"], index.dimension)
        space = index.namespaces.get(body["namespace"], Namespace())
        # What is answered is what was indexed before; more may be by the next time.
        query = np.asarray(body["vector"], "f8")
        answer = {
            "matches": space.nearest(index.metric, query, body["topK"]),
            "namespace": body["namespace"],
            "usage": {"readUnits": 1},
        }
        headers = self.numbered("max-indexed", space.indexed)
        if self.is_indexing:
            space.index_half()
        return 200, answer, headers

    def describe_index_stats(self, index: Index, _: Any) -> tuple[int, Any, dict[str, str]]:
        counts = {name: len(space.records) for name, space in index.namespaces.items()}
        if self.is_indexing:
            for space in index.namespaces.values():
                space.index_half()
        stats = {
            "namespaces": {name: {"vectorCount": count} for name, count in counts.items()},
            "dimension": index.dimension,
            "totalVectorCount": sum(counts.values()),
            "metric": index.metric,
            "vectorType": index.kind,
        }
        return 200, stats, {}

    def delete_namespace(self, index: Index, name: str) -> tuple[int, Any, dict[str, str]]:
        if index.namespaces.pop(name, None) is None:
            return 404, {"message": "Namespace not found"}, {}
        return 200, {}, {}

    def numbered(self, what: str, number: int) -> dict[str, str]:
        return {f"x-pinecone-{what}-lsn": str(number)} if self.has_numbers else {}


class Violation(Exception):
    """A request that the API does not have."""


def check(condition: bool, what: str) -> None:
    if not condition:
        raise Violation(what)


def numbers(values: list[Any], count: int) -> None:
    check(len(values) == count, "another dimension")
    check(set(map(type, values)) <= {int, float}, "a value that is no number")


@contextmanager
def running(key: str) -> Iterator[Fake]:
    fake = Fake(key)
    try:
        yield fake
    finally:
        fake.close()
    assert fake.violations == []
