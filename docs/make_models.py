"""Writes the table of ``docs/models.md`` from the catalogue; ``make check`` fails where it is out of date.

Usage: ``python docs/make_models.py``
"""

from __future__ import annotations

import sys
from pathlib import Path

from adascale.engine.calibration.options import OWN_OPTIONS
from adascale.engine.errors import human_bytes
from adascale.engine.kinds import KINDS
from adascale.engine.types import KindName
from adascale.models.calibration.artefact import load_artefact, shipped_folder
from adascale.models.files.catalog import ModelSpec, catalog
from adascale.models.sizing import usual_bytes

PAGE = Path(__file__).parent / "models.md"
BEGIN, END = "<!-- begin of the table -->\n", "<!-- end of the table -->"
TESTS = PAGE.parent.parent / "tests"

COLUMNS = ("model", "licence", "size", "memory", "architecture", "thinking", "calibration", "tested")
THINKING = {"no": "no", "switch": "by a switch", "always": "always"}


def page() -> str:
    """The whole page with the table as it should be."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def table() -> str:
    """A row for each generator of the catalogue."""
    kinds, contract = _calibrations(), _architectures()
    specs = [spec for spec in catalog().values() if spec.role == "generator"]
    rows = (COLUMNS, ("---",) * len(COLUMNS), *(_cells(spec, kinds, contract) for spec in specs))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _cells(spec: ModelSpec, kinds: dict[str, list[KindName]], contract: set[str]) -> tuple[str, ...]:
    return (
        f"`{spec.name}`",
        spec.licence,
        _amount(spec.size_bytes),
        _amount(usual_bytes(spec.size_bytes, spec.kv_bytes_per_token, spec.state_bytes)),
        spec.architecture,
        THINKING[spec.thinking],
        "fitted: " + ", ".join(kinds[spec.sha256]) if spec.sha256 in kinds else "prior",
        "itself" if spec.wheel else "tiny" if spec.architecture in contract else "no",
    )


def _amount(size: int | None) -> str:
    return "?" if size is None else human_bytes(size)


def _calibrations() -> dict[str, list[KindName]]:
    """Digests of generators, and the kinds of question that were fitted on them."""
    found = {digest: [*kinds] for digest, kinds in OWN_OPTIONS.items()}
    for path in sorted(shipped_folder().glob("*.safetensors")):
        fingerprint = load_artefact(path).card.fingerprint
        found.setdefault(fingerprint.generator, []).append(fingerprint.kind)
    return {digest: sorted(kinds, key=[*KINDS].index) for digest, kinds in found.items()}


def _architectures() -> set[str]:
    """Names of the architectures that are tested on a tiny model."""
    sys.path[:0] = [str(TESTS / "lib"), str(TESTS / "models" / "llama")]
    from architectures import ARCHITECTURES

    return {each.name for each in ARCHITECTURES}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
