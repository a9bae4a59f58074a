"""Check the types of the product and of bench: mypy, told which module each file is.

The folders map to packages (``api`` is ``adascale``, ``cli`` is ``adascale.cli``), which mypy cannot be told
by options: without this it would need a tree of links. Bench runs on Linux alone.

Usage: python .ci/check_types.py [--platform darwin] [any option of mypy]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from mypy.build import build
from mypy.errors import CompileError
from mypy.main import process_options
from mypy.modulefinder import BuildSource

PACKAGES = {
    "api": "adascale",
    "cli": "adascale.cli",
    "engine": "adascale.engine",
    "models": "adascale.models",
    "bench": "bench",
}


def sources(platform: str) -> Iterator[BuildSource]:
    """Yield every file with the name of its module."""
    for folder, package in PACKAGES.items():
        if folder == "bench" and platform != "linux":
            continue
        for path in sorted(Path(folder).rglob("*.py")):
            names = path.relative_to(folder).with_suffix("").parts
            inside = names[:-1] if names[-1] == "__init__" else names
            yield BuildSource(str(path), ".".join([package, *inside]))


def main() -> int:
    """Print mypy's findings, and give 1 if there are any."""
    # mypy wants a program on its command line; the lookup makes it find imports among the sources.
    _, options = process_options([*sys.argv[1:], "--fast-module-lookup", "-c", ""])
    try:
        found = build([*sources(options.platform)], options).errors
    except CompileError as error:
        found = error.messages
    print("\n".join(found) or "no type errors")
    return bool(found)


sys.exit(main())
