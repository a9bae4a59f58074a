"""Settings and commands in the text of an error or a warning: named here, spelled by each edge.

In a text they stand between backticks, a setting as Python has it: "`ctx_size=1024` needs 2 GB". A caller in
Python reads them as they are; the command line spells this one ``--ctx-size 1024``, a server by its field.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_MARKED = re.compile(r"`(?:(adascale [^`]*)|([a-z_]+)(?:=([^`]*))?)`")


def setting(name: str, value: bool | float | str | None = None) -> str:
    """A setting, and the value that it has or should have.

    Args:
        name: Of a field of ``SessionOptions`` or of a strategy.
        value: None leaves it open.
    """
    if value is None:
        return f"`{name}`"
    return f'`{name}="{value}"`' if isinstance(value, str) else f"`{name}={value}`"


def command(*words: str, force: bool = False) -> str:
    """A command of ``adascale`` to type into a shell."""
    return f"`{' '.join(['adascale', *words, *(['--force'] if force else [])])}`"


def respell(text: str, spell: Callable[[str, str | None], str]) -> str:
    """The text with each setting as ``spell(name, value)`` has it, and with commands bare.

    Args:
        text: Of an error or a warning.
        spell: Gets the value as text, without quotes; None where the text has none.
    """

    def replacement(match: re.Match[str]) -> str:
        bare, name, value = match.groups()
        return str(bare) if bare else spell(name, None if value is None else value.strip('"'))

    return _MARKED.sub(replacement, text)
