"""`llm simdex …`: the engine's commands under one name.

Each hands its arguments to the simdex command, whose `--help` describes them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click

_PASSED_ON = {"ignore_unknown_options": True, "help_option_names": []}

# Name under `llm simdex`: (simdex command, one line of help).
_COMMANDS = {
    "create": (("index", "create"), "Define an index over collections or tables and build it"),
    "list": (("index", "list"), "List the indexes of the database"),
    "show": (("index", "show"), "Show an index: what it covers, what is built, how fresh"),
    "build": (("index", "build"), "Build indexes anew"),
    "refresh": (("index", "refresh"), "Take in rows that changed, at a cost that follows them"),
    "default": (("index", "default"), "Choose the index that `llm similar` goes through"),
    "verify": (("index", "verify"), "Check the files of an index against the database"),
    "drop": (("index", "drop"), "Remove an index; the embeddings stay as they are"),
    "compare": (("compare",), "Measure the indexes of a collection: recall, speed, size"),
}


def register(cli: click.Group) -> None:
    """Add the group to llm's commands."""

    @cli.group(name="simdex")
    def group() -> None:
        """Indexes over embeddings: `llm similar` made fast, and never stale.

        \b
          llm simdex create posts -c posts     index a collection
          llm similar posts -c 'some words'    goes through it by itself
          llm simdex search posts -c 'words'   everything an index covers

        Each command has a --help of its own.
        """

    for name, (command, help) in _COMMANDS.items():
        group.add_command(_passed_on(name, command, help))
    group.add_command(_search)


def _passed_on(name: str, command: tuple[str, ...], help: str) -> click.Command:
    @click.command(name=name, help=help, short_help=help, context_settings=_PASSED_ON)
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def passed_on(arguments: tuple[str, ...]) -> None:
        sys.exit(run([*command, *arguments]))

    return passed_on


# Options of `simdex search` that are handed on as they are given.
_HANDED_ON = [
    click.Option(["-n", "--number"], type=int, help="Number of results; all with a negative number"),
    click.Option(["-p", "--plain"], is_flag=True, help="Output in plain text format"),
    click.Option(["--json"], is_flag=True, help="Output as JSON, one object a line (the default)"),
    click.Option(["--csv"], is_flag=True, help="Output as CSV"),
    click.Option(["--no-content"], is_flag=True, help="Leave content and metadata out"),
    click.Option(["--prefix"], help="Just IDs with this prefix"),
    click.Option(["--where"], metavar="SQL", help="Just rows that meet this SQL condition"),
    click.Option(["--ids"], metavar="SQL", help="Just IDs that this SELECT lists"),
    click.Option(["--from"], metavar="COLLECTION", help="Collection that holds the ID"),
    click.Option(["--exact"], is_flag=True, help="Compare with every row, without the index"),
    click.Option(["--vector"], metavar="JSON", help="Vector to compare with, or @FILE"),
    click.Option(["--index-dir"], metavar="DIR", help="Folder for indexes"),
]


@click.command(name="search")
@click.argument("index")
@click.argument("id", required=False)
@click.option("-c", "--content", help="Content to embed for comparison")
@click.option(
    "-i",
    "--input",
    type=click.Path(exists=True, readable=True, allow_dash=True),
    help="File to embed for comparison",
)
@click.option("--binary", is_flag=True, help="Treat input as binary data")
@click.option(
    "-d",
    "--database",
    type=click.Path(file_okay=True, allow_dash=False, dir_okay=False),
    envvar="LLM_EMBEDDINGS_DB",
)
def _search(
    index: str,
    id: str | None,
    content: str | None,
    input: str | None,
    binary: bool,
    database: str | None,
    **handed_on: Any,
) -> None:
    """Search everything an index covers, by text (embedded with llm's own model) or by ID.

    \b
    Examples:
      llm simdex search posts -c 'I like cats'
      llm simdex search posts 1234 -n 3
    """
    command = ["-d", database] if database else []
    command += ["search"]
    for option in _HANDED_ON:
        value = handed_on[str(option.name)]
        if value is True:
            command.append(option.opts[-1])
        elif value is not None and value is not False:
            command.append(f"{option.opts[-1]}={value}")
    if not id and (content or input):
        vector = _embedded(index, content, input, binary, database)
        command.append(f"--vector={json.dumps(vector)}")
    sys.exit(run([*command, "--", index, *([id] if id else [])]))


_search.params.extend(_HANDED_ON)


def _embedded(
    index: str, content: str | None, input: str | None, binary: bool, database: str | None
) -> list[float]:
    import llm

    import simdex
    from simdex._llm.options import database_path

    try:
        model = simdex.open(database_path(database)).model(index=index)
    except simdex.SimdexError as error:
        raise click.ClickException(str(error)) from error
    if model is None:
        raise click.ClickException(f"Index {index} covers tables: search it with --vector")
    value: Any = content
    if not value:
        with click.open_file(str(input), "rb" if binary else "r") as file:
            value = file.read()
    get_model: Callable[[str], Any] = llm.get_embedding_model
    try:
        return [float(number) for number in get_model(model).embed(value)]
    except llm.UnknownModelError as error:
        raise click.ClickException(f"llm knows no model {model}: is its plugin installed?") from error


def run(arguments: list[str]) -> int:
    """Run the simdex command; returns its exit status."""
    command = [sys.executable, "-m", "simdex", *arguments]
    if _is_the_terminals(sys.stdout):
        sys.stdout.flush()
        return subprocess.run(command, check=False).returncode
    # Somebody catches what Python prints.
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    click.echo(done.stdout, nl=False)
    click.echo(done.stderr, nl=False, err=True)
    return done.returncode


def _is_the_terminals(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == 1)
    except (AttributeError, OSError, ValueError):
        return False
