"""Options of `llm similar`: --index, --exact, --where."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from simdex._llm.similar import Wish, wishing

_OPTIONS = [
    click.Option(["--index"], metavar="NAME", help="Search through this simdex index"),
    click.Option(["--exact"], is_flag=True, help="Compare with every row, without an index"),
    click.Option(
        ["--where"], metavar="SQL", help="Just rows of the embeddings table that meet this"
    ),
]


def extend(cli: click.Group) -> None:
    """Give `llm similar` the options; it does as before where none is used."""
    command = cli.commands["similar"]
    known = {name for parameter in command.params for name in parameter.opts}
    own = {name for option in _OPTIONS for name in option.opts}
    if known & own or command.callback is None:
        raise RuntimeError(f"`llm similar` has options of these names: {sorted(known & own)}")
    original = command.callback

    @functools.wraps(original)
    def callback(
        *args: Any, index: str | None, exact: bool, where: str | None, **kwargs: Any
    ) -> Any:
        _refuse_missing(kwargs.get("database"))
        try:
            with wishing(Wish(index, exact, where)):
                return original(*args, **kwargs)
        except Exception as error:
            raise _shown(error) from error

    command.params.extend(_OPTIONS)
    command.callback = callback


def database_path(option: str | None) -> Path:
    """The database that llm's commands use."""
    import llm

    user_dir: Callable[[], Path] = llm.user_dir
    return Path(option) if option else user_dir() / "embeddings.db"


def _refuse_missing(option: str | None) -> None:
    """llm would create an empty database to search in."""
    path = database_path(option)
    if not path.exists():
        raise click.ClickException(
            f"No embeddings table found in database: there is no file {path}\n"
            "Store embeddings with `llm embed-multi`, or point to a database with -d."
        )


def _shown(error: Exception) -> Exception:
    """An error of simdex's as llm shows errors."""
    try:
        from simdex import SimdexError
    except ImportError:
        return error
    return click.ClickException(str(error)) if isinstance(error, SimdexError) else error
