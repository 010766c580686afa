"""The plugin for llm: `llm similar` and `collection.similar*()` through simdex, and `llm simdex`.

llm loads it by itself for its commands. Programs that use llm's Python API say
`import simdex.llm_plugin`, since `import llm` alone loads no plugins.

An ImportError in a plugin would break every llm command, so nothing native is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import llm

from simdex._llm import say

if TYPE_CHECKING:
    import click

try:
    from simdex._llm import similar as _similar

    _similar.install()
except Exception as error:  # a newer llm, say: its own search goes on as it is
    say(f"llm's own search stays in use: {error}")


@llm.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `llm simdex`, options to `llm similar`, and a refresh after `llm embed`."""
    try:
        from simdex._llm import commands, options, refresh

        commands.register(cli)
        options.extend(cli)
        refresh.follow(cli)
    except Exception as error:  # llm's own commands must go on working
        say(f"this llm is not one that simdex knows: {error}")
