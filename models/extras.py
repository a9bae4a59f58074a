"""Optional packages, and the command that installs them where this program runs."""

from __future__ import annotations

import shlex
import sys


def install_command(extra: str) -> str:
    """The command that installs the packages of an extra into the running environment.

    It names the packages themselves: adascale is on no package index, and whoever took its name there would
    be installed.

    Args:
        extra: Name of the extra, such as ``serve``.
    """
    from importlib import metadata

    needed = (name.split(";") for name in metadata.requires("adascale") or ())
    packages = [name.strip() for name, *condition in needed if f'"{extra}"' in "".join(condition)]
    return shlex.join([sys.executable, "-m", "pip", "install", *packages])
