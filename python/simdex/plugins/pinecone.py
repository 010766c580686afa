"""``pinecone``: a namespace of a serverless index of Pinecone's, over its public HTTP API.

Written from the API's published description, version 2025-10, and tested with a fake server that
holds every request against it; nobody has run it against the service.

Pinecone is eventually consistent. Each write to a namespace has a log sequence number, and each
answer says up to which number it is indexed: a search whose answer is behind the last write of the
build is an error, so that simdex compares all rows itself instead of missing some.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Mapping
from urllib.parse import quote, urlsplit

import numpy as np

from simdex.plugin import Integer, Settings, Text, serve
from simdex.plugins._remote import LOCAL, PAUSES, Remote

API_VERSION = "2025-10"
CONTROL = "https://api.pinecone.io"

#: Headers of answers: the number of a write, and up to which number a namespace is indexed.
WRITTEN, INDEXED = "x-pinecone-request-lsn", "x-pinecone-max-indexed-lsn"

#: The metrics of an index that order rows as ours do; cosine comes as vectors of length 1.
METRICS = {
    "cosine": ("cosine", "dotproduct", "euclidean"),
    "dot": ("dotproduct",),
    "l2": ("euclidean",),
}

#: The longest wait that a server may ask for, in seconds.
LONGEST_PAUSE = 60

#: Queries that are under way at once.
AT_ONCE = 8


class Refused(Exception):
    """An answer other than success."""

    def __init__(self, status: int, message: str, retry_after: float | None):
        super().__init__(f"Pinecone answered {status}: {message}")
        self.status, self.retry_after = status, retry_after


class Behind(Exception):
    """What was written can't be searched yet."""


def address(given: str, of_control: str = "") -> str:
    """A host as a user or Pinecone names it, as a URL without a path."""
    scheme = "http" if of_control.startswith("http:") else "https"
    parts = urlsplit(given if "://" in given else f"{scheme}://{given}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("host and control name a host, such as my-index-abc.svc.pinecone.io")
    if parts.username is not None or parts.password is not None or parts.query:
        raise ValueError("host and control hold no key; PINECONE_API_KEY does")
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        raise ValueError("a key crosses no network over plain http; use https")
    return f"{parts.scheme}://{parts.netloc}"


def is_trusted(url: str) -> bool:
    """Whether the key may go there: to Pinecone, or where the environment says. What an index's
    definition or files say may come from somebody else."""
    parts = urlsplit(url)
    named = [os.environ.get(f"SIMDEX_PINECONE_{name}") for name in ("HOST", "CONTROL")]
    is_theirs = parts.scheme == "https" and (parts.hostname or "").endswith(".pinecone.io")
    return is_theirs or any(url == address(host) for host in named if host)


def api_key() -> str:
    key = os.environ.get("PINECONE_API_KEY", "")
    file = os.environ.get("PINECONE_API_KEY_FILE")
    if not key and file:
        key = Path(file).read_text().partition("\n")[0].strip()
    if not key:
        raise ValueError("PINECONE_API_KEY or PINECONE_API_KEY_FILE must hold a key")
    if not key.isascii() or not key.isprintable():
        raise ValueError("the key in PINECONE_API_KEY or its file can't be sent")
    return key


class Pinecone(Remote):
    name = "pinecone"
    version = API_VERSION
    requires = ("urllib3",)
    about = "approximate: a serverless index of Pinecone's; not run against the service"
    # Limits of a request: 1,000 records, 2 MB; a number takes up to 16 bytes.
    batch_of_bytes = 1_900_000
    bytes_of_a_number = 16
    pauses = (*PAUSES, 10, 20)
    options = [
        Text("index", "", "name of the Pinecone index, if its host is not given"),
        Text("host", "", "host of the Pinecone index, if SIMDEX_PINECONE_HOST does not say"),
        Text("control", "", f"where indexes are looked up by name; usually {CONTROL}"),
        Integer("wait", 60, "seconds to wait until what was sent can be searched", minimum=0),
        Integer("timeout", 10, "seconds for a request", minimum=1),
    ]

    def connect(self, options: Mapping[str, Any], known: str = "") -> str:
        import urllib3

        self.key, self.wait = api_key(), options["wait"]
        self.lsn: int | None = None
        self.http = urllib3.PoolManager(
            maxsize=AT_ONCE, timeout=options["timeout"], retries=False
        )
        given = options["host"] or os.environ.get("SIMDEX_PINECONE_HOST", "")
        self.described: Mapping[str, Any] | None = None
        if given:
            self.host = address(given)
        elif known and is_trusted(known):
            self.host = known
        elif options["index"]:
            self.described = self._describe_index(options)
            self.host = address(self.described["host"], self.control)
            return self.host
        else:
            raise ValueError("--set index=NAME or host=HOST names the Pinecone index")
        if not is_trusted(self.host):
            raise ValueError(
                f"the key is sent to pinecone.io and to SIMDEX_PINECONE_HOST, not to {self.host}"
            )
        return self.host

    def _describe_index(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        given = options["control"] or os.environ.get("SIMDEX_PINECONE_CONTROL") or CONTROL
        self.control = address(given)
        if not is_trusted(self.control):
            raise ValueError(
                f"the key is sent to pinecone.io and to SIMDEX_PINECONE_CONTROL, not to "
                f"{self.control}"
            )
        index = options["index"]
        answer: Mapping[str, Any]
        try:
            answer, _ = self._ask("GET", f"{self.control}/indexes/{quote(index, safe='')}")
        except Refused as error:
            if error.status == 404:
                raise ValueError(f"Pinecone has no index `{index}`") from None
            raise
        return answer

    def create(self, name: str, settings: Settings) -> None:
        # A namespace is there once something is in it.
        described = self.described or self._stats()
        if "serverless" not in described.get("spec", {"serverless": {}}):
            raise ValueError("the Pinecone index is not serverless: namespaces could not be removed")
        kind = described.get("vector_type", described.get("vectorType", "dense"))
        if kind != "dense":
            raise ValueError(f"the Pinecone index holds {kind} vectors, and these are dense")
        dimension = described.get("dimension")
        if dimension != settings.dimensions:
            raise ValueError(
                f"the Pinecone index has {dimension} dimensions, the rows {settings.dimensions}"
            )
        metric, fitting = described.get("metric"), METRICS[settings.metric]
        # Stats of old indexes say no metric.
        if metric is not None and metric not in fitting:
            raise ValueError(
                f"the Pinecone index measures by {metric}; for {settings.metric} it must by "
                + " or ".join(fitting)
            )

    def discard(self, name: str) -> None:
        try:
            self._ask("DELETE", f"{self.host}/namespaces/{name}")
        except Refused as error:
            if error.status != 404:
                raise

    def upsert(self, name: str, rows: list[int], vectors: np.ndarray) -> None:
        zeros = np.flatnonzero(~vectors.any(axis=1))
        if len(zeros):
            raise ValueError(f"row {rows[zeros[0]]} is all zeros, which Pinecone does not take")
        # Nine digits are a float32 exactly.
        form = "[" + ",".join(["%.9g"] * vectors.shape[1]) + "]"
        records = [
            f'{{"id":"{row}","values":{form % tuple(vector)}}}'
            for row, vector in zip(rows, vectors.tolist())
        ]
        body = f'{{"namespace":"{name}","vectors":[{",".join(records)}]}}'
        self._write("/vectors/upsert", body)

    def delete(self, name: str, rows: list[int]) -> None:
        ids = [str(row) for row in rows]
        self._write("/vectors/delete", json.dumps({"ids": ids, "namespace": name}))

    def find(self, name: str, queries: np.ndarray, k: int) -> list[list[int]]:
        def one(query: np.ndarray) -> list[int]:
            found, indexed = self._query(name, query, k)
            if self.lsn is not None and (indexed is None or indexed < self.lsn):
                raise Behind(
                    f"Pinecone has not indexed all rows yet: {indexed or 'none'} of {self.lsn} writes"
                )
            return [int(match["id"]) for match in found]

        if len(queries) == 1:
            return [one(queries[0])]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(one, queries))

    def is_passing(self, error: Exception) -> bool:
        import urllib3

        if isinstance(error, Refused):
            return error.status == 429 or error.status >= 500
        return isinstance(error, urllib3.exceptions.HTTPError)

    def pause(self, error: Exception, usual: float) -> float:
        asked = error.retry_after if isinstance(error, Refused) else None
        return usual if asked is None else min(max(asked, usual), LONGEST_PAUSE)

    def settle(self) -> None:
        """Waits until answers have caught up with what was written, for some time: after it every
        search looks for itself. Where writes have no numbers, as with emulators, rows are counted,
        after those that go and after those that come; nobody could look later, so that an endless
        wait is a failure."""
        probe = np.zeros(self.dimensions, "f4")
        probe[0] = 1
        end, pause = time.monotonic() + self.wait, 0.02
        while True:
            if self.lsn is not None:
                indexed = self._try(lambda: self._query(self.name_there, probe, 1))[1]
                if indexed is not None and indexed >= self.lsn:
                    return
            elif self._count() == len(self):
                return
            if time.monotonic() >= end:
                break
            self.progress(len(self))
            self.sleep(pause)
            pause = min(2 * pause, 2)
        if self.lsn is None:
            raise Behind(f"Pinecone has {self._count()} of {len(self)} rows after {self.wait} s")

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        self.dimensions = settings.dimensions
        super().build(vectors, settings)

    def load(self, folder: Path, settings: Settings) -> None:
        self.dimensions = settings.dimensions
        super().load(folder, settings)

    def remember(self) -> Mapping[str, Any]:
        return {"lsn": self.lsn}

    def recall(self, noted: Mapping[str, Any]) -> None:
        self.lsn = noted["lsn"]

    def _stats(self) -> Any:
        return self._ask("POST", f"{self.host}/describe_index_stats", "{}")[0]

    def _count(self) -> int:
        namespaces = self._try(self._stats).get("namespaces", {})
        return int(namespaces.get(self.name_there, {}).get("vectorCount", 0))

    def _write(self, path: str, body: str) -> None:
        _, headers = self._ask("POST", self.host + path, body)
        written = headers.get(WRITTEN)
        if written is not None:
            self.lsn = max(self.lsn or 0, int(written))

    def _query(self, name: str, query: np.ndarray, k: int) -> tuple[list[Any], int | None]:
        """Matches, and up to which write they are indexed."""
        body = {
            "namespace": name,
            "topK": k,
            "vector": [float(f"{value:.9g}") for value in query.tolist()],
            "includeValues": False,
            "includeMetadata": False,
        }
        answer, headers = self._ask("POST", f"{self.host}/query", json.dumps(body))
        indexed = headers.get(INDEXED)
        return answer.get("matches", []), None if indexed is None else int(indexed)

    def _ask(self, method: str, url: str, body: str | None = None) -> tuple[Any, Mapping[str, str]]:
        import urllib3

        headers = {
            "Api-Key": self.key,
            "X-Pinecone-Api-Version": API_VERSION,
            "Accept": "application/json",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        # Redirects would take the key elsewhere.
        reply = self.http.request(method, url, body=body, headers=headers, redirect=False)
        if 200 <= reply.status < 300:
            try:
                return (json.loads(reply.data) if reply.data else {}), reply.headers
            except ValueError:
                raise RuntimeError("Pinecone answered something that is not JSON") from None
        asked = reply.headers.get("Retry-After")
        try:
            retry_after = urllib3.Retry().parse_retry_after(asked) if asked else None
        except urllib3.exceptions.InvalidHeader:
            retry_after = None
        raise Refused(reply.status, self._said(reply.data), retry_after)

    def _said(self, data: bytes) -> str:
        """What an error says, in one short line and without the key."""
        text = data.decode("utf-8", "replace")
        try:
            said = json.loads(text)
            error = said.get("error", said)
            text = str(error.get("message", text)) if isinstance(error, dict) else str(error)
        except (ValueError, AttributeError):
            pass
        return " ".join(text.replace(self.key, "…").split())[:300]


def main() -> None:
    serve(Pinecone())


if __name__ == "__main__":
    main()
