"""Fixtures of the tests against a real Datasette."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# However pytest imports tests, they find what they share.
sys.path.insert(0, str(Path(__file__).parent))

from hosting import Host  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    # Datasette has sqlite3 print the errors of functions, which these tests cause on purpose.
    ignored = "ignore::pytest.PytestUnraisableExceptionWarning"
    config.addinivalue_line("filterwarnings", ignored)


@pytest.fixture
def host() -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def start(*files: Path, **options: Any) -> Host:
        hosts.append(Host(files, **options))
        return hosts[-1]

    yield start
    for started in hosts:
        started.close()


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Indexes that find no other place go to the test's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
