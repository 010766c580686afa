"""Write an index plugin for simdex.

A plugin is a program named ``simdex-index-NAME`` that proposes which rows may be close to a query.
simdex does the rest: fresh rows, exact scores, filters. This module speaks the protocol (PLUGINS.md
in simdex's repository), so that a plugin is a class with a few methods::

    class First(Plugin):
        name = "first"
        about = "the first rows, whatever the query"

        def build(self, vectors, settings):
            self.count = len(vectors)

        def __len__(self):
            return self.count

        def search(self, queries, k, allowed):
            return [range(k)] * len(queries)

    if __name__ == "__main__":
        serve(First())

Only numpy is needed, and the rest of the package simdex is not.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Sequence

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Choice", "Integer", "Number", "Option", "Plugin", "Settings", "Text", "serve"]

PROTOCOL = 1

METHODS = ("describe", "build", "open", "apply", "search", "stats", "drop", "close")

# Codes of JSON-RPC.
_PARSE, _METHOD, _INVALID, _FAILED = -32700, -32601, -32602, -32000


@dataclass(frozen=True)
class Option:
    """Something users may set with ``--set NAME=VALUE``."""

    name: str
    default: Any
    about: str
    #: For options that only searches read: values for ``simdex compare`` to try.
    sweep: Sequence[Any] = field(default=(), kw_only=True)

    def parse(self, text: str) -> Any:
        """The value that a text stands for."""
        return text

    def _described(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "name": self.name,
            "default": str(self.default),
            "about": self.about,
        }
        if self.sweep:
            described["sweep"] = [str(value) for value in self.sweep]
        return described


@dataclass(frozen=True)
class Text(Option):
    """Any text."""

    def _described(self) -> dict[str, Any]:
        return {**super()._described(), "type": "text"}


@dataclass(frozen=True)
class Integer(Option):
    """A whole number."""

    minimum: int | None = field(default=None, kw_only=True)
    maximum: int | None = field(default=None, kw_only=True)

    def parse(self, text: str) -> int:
        return int(text)

    def _described(self) -> dict[str, Any]:
        bounds = {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
        return {**super()._described(), **bounds}


@dataclass(frozen=True)
class Number(Option):
    """A number."""

    minimum: float | None = field(default=None, kw_only=True)
    maximum: float | None = field(default=None, kw_only=True)

    def parse(self, text: str) -> float:
        return float(text)

    def _described(self) -> dict[str, Any]:
        bounds = {"type": "number", "minimum": self.minimum, "maximum": self.maximum}
        return {**super()._described(), **bounds}


@dataclass(frozen=True)
class Choice(Option):
    """One of a few texts."""

    choices: Sequence[str] = field(default=(), kw_only=True)

    def _described(self) -> dict[str, Any]:
        return {**super()._described(), "type": "choice", "choices": list(self.choices)}


@dataclass(frozen=True)
class Settings:
    """How an index is to be made. ``settings["ef"]`` is the value of an option, typed."""

    #: ``cosine``, ``l2`` (squared distance) or ``dot``.
    metric: str
    #: How many threads to use.
    threads: int
    #: Dimensions of the rows.
    dimensions: int
    #: The value of every option, set or default.
    options: Mapping[str, Any]
    #: During a build: where :meth:`Plugin.save` will write, None where nothing is kept.
    folder: Path | None = None

    def __getitem__(self, name: str) -> Any:
        return self.options[name]


class Plugin:
    """A kind of index. Override :meth:`build`, :meth:`search` and :meth:`__len__`.

    With :meth:`save` and :meth:`load` it keeps files, and is not built anew in each process. With
    :meth:`add` and :meth:`remove` it takes changes, with :meth:`drop` it may keep something outside
    of its folder. Rows have numbers: after :meth:`build` the
    positions in its vectors. Raise :class:`ValueError` for options that can't be used.
    """

    #: The program's name without ``simdex-index-``.
    name: str
    #: One line for lists.
    about: str
    #: Its version; None: that of the first package it requires.
    version: str | None = None
    #: The packages on PyPI without which it can't work.
    requires: Sequence[str] = ()
    metrics: Sequence[str] = ("cosine", "l2", "dot")
    #: It always finds the nearest rows, up to rounding.
    exact = False
    #: :meth:`search` takes ``allowed``; otherwise it is always None.
    filters = False
    #: Under cosine, vectors and queries come at length 1, so that dot or l2 will do.
    unit_vectors = True
    options: Sequence[Option] = ()

    def build(self, vectors: np.ndarray, settings: Settings) -> None:
        """Index the rows of ``vectors`` (float32, rows × dimensions, read-only, perhaps no rows) in
        place of what was there."""
        raise NotImplementedError

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> Iterable[Iterable[int]]:
        """For each row of ``queries`` up to ``k`` row numbers, closest first; negative ones don't
        count. ``k`` is at most ``len(self)`` and not 0. ``allowed[row]`` says which rows may be
        returned."""
        raise NotImplementedError

    def __len__(self) -> int:
        """How many rows it holds."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write everything that :meth:`load` needs into ``folder``."""
        raise NotImplementedError

    def load(self, folder: Path, settings: Settings) -> None:
        """Read what :meth:`save` wrote."""
        raise NotImplementedError

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Add rows of these numbers (uint32); :meth:`remove` has been called for those it had."""
        raise NotImplementedError

    def remove(self, rows: np.ndarray) -> None:
        """Forget the rows of these numbers (uint32); some may not be there."""
        raise NotImplementedError

    def drop(self, folder: Path, kept: Path | None, options: Mapping[str, Any]) -> None:
        """Remove what is kept outside of ``folder`` for the build that it is of, which is no longer
        needed; but not what the build of ``kept`` needs. The build may have been cut at any moment,
        so note in ``settings.folder`` what is yours before you make it; nothing there is no error.
        Raise :class:`ValueError` where another attempt is of no use."""
        raise NotImplementedError

    def stats(self) -> Mapping[str, Any]:
        """Facts to show, by label."""
        return {"rows": len(self)}

    def close(self) -> None:
        """Nothing follows: let go of what outlives the process."""

    def progress(self, done: int, total: int | None = None) -> None:
        """Say how far a build is; also shows that it is alive."""
        _send({"jsonrpc": "2.0", "method": "progress", "params": {"done": done, "total": total}})

    def _overrides(self, *names: str) -> bool:
        return all(getattr(type(self), name) is not getattr(Plugin, name) for name in names)

    def _version(self) -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            versions = [version(package) for package in self.requires]
        except PackageNotFoundError as error:
            command = f"{sys.executable} -m pip install {' '.join(self.requires)}"
            raise _Unmet(f"{error.name} is not installed; install it with: {command}") from None
        return self.version or next(iter(versions), "0")

    def _describe(self) -> dict[str, Any]:
        return {
            "protocol": PROTOCOL,
            "name": self.name,
            "version": self._version(),
            "about": self.about,
            "metrics": list(self.metrics),
            "exact": self.exact,
            "persistent": self._overrides("save", "load"),
            "filters": self.filters,
            "updates": self._overrides("add", "remove"),
            "drops": self._overrides("drop"),
            "options": [option._described() for option in self.options],
        }


class _Server:
    """Turns requests into calls of a plugin's methods."""

    def __init__(self, plugin: Plugin):
        self.plugin = plugin
        self.settings: Settings | None = None
        self.folder: Path | None = None

    def answer(self, method: str, params: Mapping[str, Any]) -> Any:
        if method not in METHODS:
            raise _UnknownMethod(f"there is no method {method!r}")
        return getattr(self, method)(params)

    def describe(self, params: Mapping[str, Any]) -> Any:
        return self.plugin._describe()

    def build(self, params: Mapping[str, Any]) -> Any:
        vectors = _array(params["vectors"])
        self.folder = _path(params["folder"])
        self.settings = self._settings(params, vectors.shape[1], self.folder)
        self.plugin.build(self._prepared(vectors), self.settings)
        self._save()
        return {}

    def open(self, params: Mapping[str, Any]) -> Any:
        self.settings = self._settings(params, params["dimensions"])
        self.folder = Path(params["folder"])
        self.plugin.load(self.folder, self.settings)
        return {}

    def apply(self, params: Mapping[str, Any]) -> Any:
        import numpy as np

        deletes, upserts = _array(params["deletes"]), _array(params["upserts"])
        gone = np.concatenate([deletes, upserts])
        if len(gone):
            self.plugin.remove(gone)
        if len(upserts):
            self.plugin.add(upserts, self._prepared(_array(params["vectors"])))
        self._save()
        return {}

    def search(self, params: Mapping[str, Any]) -> Any:
        queries = _array(params["queries"])
        if self.settings is None:
            raise RuntimeError("nothing is built or opened")
        if queries.shape[1] != self.settings.dimensions:
            raise ValueError(
                f"the queries have {queries.shape[1]} dimensions, "
                f"the rows {self.settings.dimensions}"
            )
        allowed = _array(params["allowed"]) if params.get("allowed") else None
        k = min(params["k"], len(self.plugin))
        if allowed is not None:
            k = min(k, int(allowed.sum()))
        if k == 0:
            return {"rows": [[] for _ in queries]}
        found = self.plugin.search(self._prepared(queries), k, allowed)
        return {"rows": [[int(row) for row in rows if row >= 0] for rows in found]}

    def stats(self, params: Mapping[str, Any]) -> Any:
        return {str(label): _plain(value) for label, value in self.plugin.stats().items()}

    def drop(self, params: Mapping[str, Any]) -> Any:
        options = self._options(params["options"])
        self.plugin.drop(Path(params["folder"]), _path(params.get("kept")), options)
        return {}

    def close(self, params: Mapping[str, Any]) -> Any:
        self.plugin.close()
        return {}

    def _save(self) -> None:
        if self.folder is not None:
            self.plugin.save(self.folder)

    def _options(self, given: Mapping[str, str]) -> Mapping[str, Any]:
        return {
            option.name: option.parse(given[option.name]) if option.name in given else option.default
            for option in self.plugin.options
        }

    def _settings(
        self, params: Mapping[str, Any], dimensions: int, folder: Path | None = None
    ) -> Settings:
        options = self._options(params["options"])
        return Settings(params["metric"], params["threads"], dimensions, options, folder)

    def _prepared(self, vectors: np.ndarray) -> np.ndarray:
        import numpy as np

        if self.settings is None or self.settings.metric != "cosine":
            return vectors
        if not self.plugin.unit_vectors:
            return vectors
        # In float64, so that squares of huge and tiny values neither overflow nor vanish.
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
        prepared: np.ndarray = (vectors / norms[:, None]).astype(np.float32)
        return prepared


class _UnknownMethod(Exception):
    pass


class _Unmet(Exception):
    """Something is missing on this machine."""


def _array(described: Mapping[str, Any]) -> np.ndarray:
    """The array that simdex describes, mapped where that pays."""
    import numpy as np

    shape = tuple(described["shape"])
    bits = described["type"] == "bits"
    kind = np.dtype("u1" if bits else {"float32": "<f4", "uint32": "<u4"}[described["type"]])
    stored = ((shape[0] + 7) // 8,) if bits else shape
    if 0 in stored:
        return np.empty(shape, bool if bits else kind)
    path, offset = described["path"], described["offset"]
    if np.prod(stored) < 1 << 16:
        count = int(np.prod(stored))
        array = np.fromfile(path, kind, count=count, offset=offset).reshape(stored)
    else:
        array = np.memmap(path, kind, "r", offset=offset, shape=stored)
    if bits:
        return np.unpackbits(array, count=shape[0], bitorder="little").astype(bool)
    return array


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None


def _plain(value: Any) -> str | int | float:
    return value if isinstance(value, (str, int, float)) else str(value)


_out: Any = None


def _send(message: Mapping[str, Any]) -> None:
    _out.write(json.dumps(message, allow_nan=False) + "\n")
    _out.flush()


def _keep_output() -> None:
    """Keeps the pipe to simdex to ourselves: what else is printed, by C++ too, goes to stderr."""
    global _out
    if _out is None:
        _out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)


def serve(plugin: Plugin) -> None:
    """Answer simdex until it says ``close`` or goes away. Call it last; it may be an entry point."""
    _keep_output()
    server = _Server(plugin)
    for line in sys.stdin:
        identity = None
        try:
            request = json.loads(line)
            identity = request["id"]
            result = server.answer(request["method"], request.get("params", {}))
            reply = {"jsonrpc": "2.0", "id": identity, "result": result}
        except Exception as error:
            code = {
                json.JSONDecodeError: _PARSE,
                ValueError: _INVALID,
                _UnknownMethod: _METHOD,
            }.get(type(error), _FAILED)
            text = str(error)
            if code == _FAILED and not isinstance(error, _Unmet):
                traceback.print_exc()
                text = f"{type(error).__name__}: {error}"
            reply = {"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": text}}
        try:
            _send(reply)
        except BrokenPipeError:
            os._exit(0)
        if identity is not None and request["method"] == "close":
            break
    sys.stdout.flush()
