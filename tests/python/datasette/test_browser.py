"""From a row to its neighbours and to a new index, in a real browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from browser import Browser, find
from hosting import IS_1, Host, blob, faiss, fill


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    opened = Browser(find() or "chromium", tmp_path / "profile")
    yield opened
    opened.close()


@pytest.fixture
def address(host, tmp_path: Path) -> Iterator[tuple[Host, str]]:
    rows = [(place, blob(float(place), 1.0)) for place in range(1, 9)]
    file = fill(tmp_path / "blog.db", "embeddings", rows, "INTEGER PRIMARY KEY")
    started: Host = host(file, plugins=faiss(("blog", "embeddings")))
    started.settle()
    # It listens before the server runs: whoever comes early waits in line.
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(started.datasette.app(), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield started, f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(find() is None, reason="there is no Chromium on this machine")
def test_from_a_row_to_its_neighbours_and_to_a_new_index(
    address: tuple[Host, str], browser: Browser
) -> None:
    started, site = address
    browser.go(f"{site}/blog/embeddings/3")
    link = "a[href$='/-/similar']" if IS_1 else "a[href$='.similar']"
    browser.click(link)
    assert "Rows similar to embeddings: 3" in browser.text()
    rows = "[...document.querySelectorAll('tbody tr td:first-child')].map(cell => cell.innerText)"
    assert browser.script(rows)[:2] == ["2", "4"]

    browser.go(f"{site}/-/simdex")
    assert "Build anew" not in browser.text()
    cookie = started.datasette.sign({"a": {"id": "root"}}, "actor")
    browser.call("Network.setCookie", name="ds_actor", value=cookie, url=site)
    browser.go(f"{site}/-/simdex")
    browser.click("form:has(input[value=build]) input[type=submit]")
    assert browser.script("location.pathname") == "/-/simdex"
    started.settle()
    (table,) = started.datasette._simdex.tables
    assert table.open().native.index(table.entry.index)["state"]["generation"] == 2
    browser.go(f"{site}/-/simdex")
    assert "8 of 2 dimensions" in browser.text()
