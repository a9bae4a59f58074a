"""Models in several files, ``name-00001-of-00004.gguf`` to ``name-00004-of-00004.gguf``.

``llama-gguf-split`` makes them. The first part has the metadata; llama.cpp opens it and finds the others
beside it by their names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.errors import ModelCorruptError

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")


@dataclass(frozen=True, slots=True)
class Part:
    """The place of a file among the parts of a model, by its name.

    Attributes:
        stem: What all parts begin with.
        number: 1 to ``count``.
    """

    stem: str
    number: int
    count: int

    @classmethod
    def of(cls, file: str) -> Part | None:
        """None for a model in one file."""
        found = _PART.fullmatch(file)
        if found is None or not 1 <= int(found[2]) <= int(found[3]):
            return None
        return cls(found[1], int(found[2]), int(found[3]))

    def names(self) -> list[str]:
        """The names of all parts in order."""
        return [f"{self.stem}-{n:05}-of-{self.count:05}.gguf" for n in range(1, self.count + 1)]


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files of a model in order: of one in a single file that file.

    Raises:
        ModelCorruptError: A part is missing, or ``path`` is not the first.
    """
    part = Part.of(path.name)
    if part is None:
        return (path,)
    paths = tuple(path.with_name(name) for name in part.names())
    if part.number != 1:
        raise ModelCorruptError(
            f"{path.name} is part {part.number} of a model in {part.count} files",
            hint=f"it is opened by its first part: {paths[0].name}",
        )
    missing = [each.name for each in paths if not each.exists()]
    if missing and path.exists():
        raise ModelCorruptError(
            f"{path.name} is incomplete",
            f"{len(missing)} of its {part.count} parts {'is' if len(missing) == 1 else 'are'} not beside it",
            *missing[:4],
            hint=f"fetch what is missing into {path.parent}",
        )
    return paths


def existing_parts(path: Path) -> tuple[Path, ...]:
    """Those files of a model that are there, in order, whether or not it is whole."""
    part = Part.of(path.name)
    names = [path.name] if part is None else part.names()
    return tuple(each for each in map(path.with_name, names) if each.exists())
