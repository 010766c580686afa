"""Who may see and do what, in the words of whichever Datasette runs."""

from __future__ import annotations

from typing import Any

from datasette.utils import actor_matches_allow
from datasette.utils.asgi import Forbidden

MANAGE = "simdex-manage"


async def may_view(datasette: Any, actor: Any, database: str, table: str) -> bool:
    """Whether the actor may see a table."""
    if _is_1(datasette):
        from datasette.resources import TableResource

        resource = TableResource(database=database, table=table)
        return bool(await datasette.allowed(action="view-table", resource=resource, actor=actor))
    permissions = [("view-table", (database, table)), ("view-database", database), "view-instance"]
    visible, _ = await datasette.check_visibility(actor, permissions=permissions)
    return bool(visible)


async def may_enter(datasette: Any, actor: Any) -> bool:
    """Whether the actor may see this Datasette at all."""
    if _is_1(datasette):
        return bool(await datasette.allowed(action="view-instance", actor=actor))
    return bool(await datasette.permission_allowed(actor, "view-instance", default=True))


async def may_manage(datasette: Any, actor: Any) -> bool:
    """Whether the actor may build indexes and see what went wrong: root, unless configured."""
    if _is_1(datasette):
        return bool(await datasette.allowed(action=MANAGE, actor=actor))
    return bool(await datasette.permission_allowed(actor, MANAGE, default=False))


def has(datasette: Any, actor: Any) -> bool | None:
    """For Datasette 0.65: as 1.0 has it, whom the key `permissions` names, else root."""
    allow = (datasette.metadata("permissions") or {}).get(MANAGE)
    if allow is not None:
        return bool(actor_matches_allow(actor, allow))
    return True if actor and actor.get("id") == "root" else None


def refuse(allowed: bool, what: str) -> None:
    if not allowed:
        raise Forbidden(f"You do not have permission to {what}")


def actions() -> list[Any]:
    """The permission of our own, as Datasette 1.0 wants to know it."""
    from datasette.permissions import Action

    return [Action(name=MANAGE, description="Build and refresh indexes of simdex")]


def _is_1(datasette: Any) -> bool:
    return hasattr(datasette, "allowed")
