"""The pages: similar rows, and the dashboard."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from hosting import IS_1, Host, SqlError, blob, faiss, fill

ROWS = [(place, blob(float(place), 1.0)) for place in range(1, 9)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return fill(tmp_path / "blog.db", "embeddings", ROWS, "INTEGER PRIMARY KEY")


@pytest.fixture
def started(host, file: Path) -> Host:
    running = host(file, plugins=faiss(("blog", "embeddings")))
    running.settle()
    return running


def test_similar_rows(started: Host) -> None:
    page = started.get("/blog/embeddings/3/-/similar")
    assert page.status_code == 200
    links = re.findall(r'<td><a href="([^"]*)">(\d)</a></td>', page.text)
    assert links[:2] == [("/blog/embeddings/2", "2"), ("/blog/embeddings/4", "4")]
    assert len(links) == 7
    answer = started.get("/blog/embeddings/3/-/similar.json?_size=2").json()
    assert answer["ok"] is True
    assert [(row["id"], row["score"]) for row in answer["rows"]] == [(2, 1.0), (4, 1.0)]
    assert answer["rows"][0]["href"] == "/blog/embeddings/2"


def test_the_row_page_links_to_it(started: Host) -> None:
    page = started.get("/blog/embeddings/3").text
    if IS_1:
        assert 'href="/blog/embeddings/3/-/similar"' in page
    else:
        (link,) = re.findall(r'<a href="([^"]*)">similar</a>', page)
        assert started.get(link).headers["location"] == "/blog/embeddings/3/-/similar"


def test_a_table_without_embeddings_has_no_link(host, file: Path) -> None:
    fill(file, "other", [(1, None)], "INTEGER PRIMARY KEY")
    started = host(file, plugins=faiss(("blog", "embeddings")))
    assert "similar" not in started.get("/blog/other/1").text.lower()
    assert started.get("/blog/other/1/-/similar").status_code == 404


def test_rows_that_embeddings_refer_to(host, tmp_path: Path) -> None:
    file = tmp_path / "blog.db"
    db = sqlite3.connect(file)
    db.executescript(
        """
        CREATE TABLE post (slug TEXT PRIMARY KEY, title TEXT);
        CREATE TABLE embeddings (id TEXT REFERENCES post(slug), embedding BLOB);
        """
    )
    for number, slug in enumerate(["a/b", "c", "<d>"]):
        db.execute("INSERT INTO post VALUES (?, ?)", (slug, f"<b>{slug}</b>"))
        db.execute("INSERT INTO embeddings VALUES (?, ?)", (slug, blob(number)))
    db.execute("INSERT INTO post VALUES ('bare', 'no embedding')")
    db.commit()
    started: Host = host(file, plugins=faiss(("blog", "embeddings")))
    answer = started.get("/blog/post/a~2Fb/-/similar.json").json()
    assert [row["id"] for row in answer["rows"]] == ["c", "<d>"]
    assert answer["rows"][0]["columns"] == {"title": "<b>c</b>"}
    page = started.get("/blog/post/a~2Fb/-/similar").text
    assert "<b>c</b>" not in page and "&lt;b&gt;c&lt;/b&gt;" in page
    assert started.get(answer["rows"][1]["href"]).status_code == 200
    assert "This row has no embedding." in started.get("/blog/post/bare/-/similar").text


def test_names_are_escaped(host, tmp_path: Path) -> None:
    table = "<script>alert(1)</script>"
    rows = [("<i>1</i>", blob(1)), ("<i>2</i>", blob(2))]
    file = fill(tmp_path / "blog.db", table, rows, "TEXT PRIMARY KEY")
    started: Host = host(file, plugins=faiss(("blog", table)))
    started.settle()
    with pytest.raises(SqlError):
        started.rows("blog", "select faiss_search('<u>', '<u>', x'00000000', 1)")
    path = "/blog/~3Cscript~3Ealert~281~29~3C~2Fscript~3E/~3Ci~3E1~3C~2Fi~3E/-/similar"
    for page in (started.get(path, "root"), started.get("/-/simdex", "root")):
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<i>" not in page.text and "<u>" not in page.text
    assert "&lt;u&gt;" in started.get("/-/simdex", "root").text


def test_rows_and_tables_that_are_not_there(started: Host) -> None:
    for path in (
        "/blog/embeddings/99/-/similar",
        "/blog/nothing/1/-/similar",
        "/nowhere/embeddings/1/-/similar",
        "/blog/embeddings/1,2/-/similar",
    ):
        assert started.get(path).status_code in (403, 404), path


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_private_table_tells_nothing(host, file: Path, suffix: str) -> None:
    config = {"databases": {"blog": {"tables": {"embeddings": {"allow": {"id": "root"}}}}}}
    started: Host = host(file, plugins=faiss(("blog", "embeddings")), config=config)
    there = started.get(f"/blog/embeddings/3/-/similar{suffix}")
    missing = started.get(f"/blog/embeddings/99/-/similar{suffix}")
    assert there.status_code == missing.status_code == 403
    assert started.get(f"/blog/embeddings/3/-/similar{suffix}", "root").status_code == 200
    assert "embeddings" not in started.get("/-/simdex").text
    assert "embeddings" in started.get("/-/simdex", "root").text


def test_private_embeddings_of_public_rows(host, tmp_path: Path) -> None:
    file = tmp_path / "blog.db"
    db = sqlite3.connect(file)
    db.executescript(
        """
        CREATE TABLE post (id INTEGER PRIMARY KEY);
        CREATE TABLE embeddings (id INTEGER REFERENCES post(id), embedding BLOB);
        INSERT INTO post VALUES (1), (2);
        INSERT INTO embeddings VALUES (1, x'0000803f'), (2, x'00000040');
        """
    )
    config = {"databases": {"blog": {"tables": {"embeddings": {"allow": {"id": "root"}}}}}}
    started: Host = host(file, plugins=faiss(("blog", "embeddings")), config=config)
    assert started.get("/blog/post/1").status_code == 200
    for row in (1, 99):
        assert started.get(f"/blog/post/{row}/-/similar").status_code == 403
    assert started.get("/blog/post/1/-/similar", "root").status_code == 200


def test_the_dashboard(host, file: Path) -> None:
    db = sqlite3.connect(file)
    db.execute("INSERT INTO embeddings VALUES (90, NULL), (91, 'text')")
    db.commit()
    started: Host = host(file, plugins=faiss(("blog", "embeddings"), ("blog", "gone")))
    started.settle()
    page = started.get("/-/simdex").text
    assert "8 of 2 dimensions" in page
    assert "1: NULL; 1: not a blob" in page
    assert "<form" not in page.partition('<section class="content">')[2].partition("</section>")[0]
    assert "Last errors" not in page
    page = started.get("/-/simdex", "root").text
    assert "Build anew" in page
    # What the index of the missing table failed with, in the background.
    assert "there is no table `gone`" in page


def form(started: Host, actor: str | None, action: str) -> dict:
    """A POST as the page's own form makes it."""
    data = {"index": "0", "action": action}
    if IS_1:
        return {
            "data": data,
            "headers": {"origin": "http://localhost", "sec-fetch-site": "same-origin"},
        }
    page = started.get("/-/simdex", actor)
    token = re.search(r'name="csrftoken" value="([^"]*)"', page.text)
    data["csrftoken"] = token[1] if token else "none"
    return {"data": data, "cookies": dict(page.cookies)}


@pytest.mark.parametrize("action", ["build", "refresh", "compare"])
def test_who_may_build(host, tmp_path: Path, action: str) -> None:
    rows = [(place, blob(float(place), place % 7.0, 1.0)) for place in range(300)]
    file = fill(tmp_path / "blog.db", "embeddings", rows, "INTEGER PRIMARY KEY")
    started: Host = host(file, plugins=faiss(("blog", "embeddings")))
    started.settle()
    (table,) = started.datasette._simdex.tables
    before = table.open().native.index(table.entry.index)["state"]["generation"]
    for actor in (None, "someone"):
        refused = started.request("post", "/-/simdex", actor, **form(started, actor, action))
        assert refused.status_code == 403
    done = started.request("post", "/-/simdex", "root", **form(started, "root", action))
    assert (done.status_code, done.headers["location"]) == (302, "/-/simdex")
    started.settle()
    after = table.open().native.index(table.entry.index)["state"]["generation"]
    assert after == before + (action == "build")
    page = started.get("/-/simdex", "root").text
    assert ("<svg viewBox" in page and "Median time" in page) == (action == "compare")
    assert not started.datasette._simdex.errors


def test_the_permission_goes_to_whom_the_configuration_names(host, file: Path) -> None:
    config = {"permissions": {"simdex-manage": {"id": "ed"}}}
    started: Host = host(file, plugins=faiss(("blog", "embeddings")), config=config)
    started.settle()
    pages = {actor: started.get("/-/simdex", actor).text for actor in ("root", "ed", "someone")}
    can = {actor: "Build anew" in page for actor, page in pages.items()}
    assert can == {"root": False, "ed": True, "someone": False}
    done = started.request("post", "/-/simdex", "ed", **form(started, "ed", "refresh"))
    assert done.status_code == 302


def test_a_form_of_another_site_is_refused(started: Host) -> None:
    data = {"index": "0", "action": "build"}
    headers = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    refused = started.request("post", "/-/simdex", "root", data=data, headers=headers)
    assert refused.status_code == 403


def test_what_is_no_index_or_action(started: Host) -> None:
    for index, action in (("7", "build"), ("x", "build"), ("0", "drop")):
        options = form(started, "root", action)
        options["data"].update(index=index)
        assert started.request("post", "/-/simdex", "root", **options).status_code == 400
