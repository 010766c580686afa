"""A plugin for Datasette: similarity search in SQL and on pages; replaces datasette-faiss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datasette import hookimpl
from datasette.utils.asgi import Response

from simdex.datasette_plugin import permissions
from simdex.datasette_plugin.dashboard import dashboard
from simdex.datasette_plugin.functions import register
from simdex.datasette_plugin.registry import Registry
from simdex.datasette_plugin.similar import path_of_similar, similar


@hookimpl
def startup(datasette: Any) -> None:
    Registry.of(datasette).prepare_in_background()


# Last, so that these functions win where datasette-faiss is installed too.
@hookimpl(trylast=True)
def prepare_connection(conn: Any, database: str, datasette: Any) -> None:
    register(Registry.of(datasette), conn, database)


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    row = r"^/(?P<database>[^/]+)/(?P<table>[^/]+)/(?P<pks>[^/]+)"
    return [(rf"{row}/-/similar(\.(?P<format>json))?$", similar), (r"^/-/simdex$", dashboard)]


# Datasette 1.0 asks plugins for their permissions; 0.65 asks who has them.
@hookimpl
def register_actions(datasette: Any) -> list[Any]:
    return permissions.actions()


@hookimpl(trylast=True)
def permission_allowed(datasette: Any, actor: Any, action: str) -> bool | None:
    return permissions.has(datasette, actor) if action == permissions.MANAGE else None


@hookimpl
def menu_links(datasette: Any, actor: Any) -> Callable[[], Any]:
    async def links() -> list[dict[str, str]]:
        if not await permissions.may_manage(datasette, actor):
            return []
        return [{"href": datasette.urls.path("/-/simdex"), "label": "Similarity search"}]

    return links


# The link on a row's page in Datasette 1.0 …
@hookimpl
def row_actions(datasette: Any, request: Any, database: str, table: str) -> Callable[[], Any]:
    async def actions() -> list[dict[str, str]]:
        pks = request.url_vars.get("pks")
        path = pks and await path_of_similar(datasette, database, table, pks)
        if not path:
            return []
        about = "Rows whose embeddings are closest to this one's."
        return [{"href": path, "label": "Similar rows", "description": about}]

    return actions


# … and in 0.65, whose pages list output formats and have no other place for a link.
@hookimpl
def register_output_renderer(datasette: Any) -> dict[str, Any]:
    async def can_render(
        datasette: Any, request: Any, database: str, table: str, view_name: str
    ) -> bool:
        if view_name != "row" or hasattr(datasette, "allowed"):
            return False
        pks = request.url_vars.get("pks")
        return bool(pks and await path_of_similar(datasette, database, table, pks))

    async def render(datasette: Any, request: Any, database: str, table: str) -> Response:
        pks = request.url_vars.get("pks", "")
        path = await path_of_similar(datasette, database, table, pks)
        return Response.redirect(path or datasette.urls.table(database, table))

    return {"extension": "similar", "render": render, "can_render": can_render}
