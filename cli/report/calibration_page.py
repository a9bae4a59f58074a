"""The card of calibrations that are published on the Hugging Face Hub: a README.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .calibrate_report import card_text, cell

if TYPE_CHECKING:
    from adascale.models.calibration.artefact import Artefact

_BEGIN, _END = "<!-- begin of the calibrations -->\n", "<!-- end of the calibrations -->\n"
_PLACE = re.compile(f"(?<={_BEGIN}).*?(?={_END})", re.DOTALL)

NEW_PAGE = f"""---
library_name: adascale
tags:
- adascale
- calibration
---

# Calibrations for adascale

What turns the scores of a model into success probabilities, for `adascale ask`. A calibration holds for one
model file, chat template and sampler: it is used where the generator has exactly the sha256 below.

```sh
adascale calibrate pull hf:USER/REPO
```

{_BEGIN}{_END}"""
"""A page without calibrations yet."""

_COLUMNS = ("file", "generator (sha256)", "questions", "data", "skill", "ECE", "AUC")


def has_place(page: str) -> bool:
    """Whether a page has the two marks between which ``fill`` writes."""
    return _PLACE.search(page) is not None


def fill(page: str, artefacts: Sequence[Artefact]) -> str:
    """A page with these calibrations, without the folders of this machine; what is around them stays."""
    named = [replace(each, path=Path(each.path.name) if each.path else None) for each in artefacts]
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_row, named)]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    figures = "Skill, ECE and AUC are of finished answers, on questions that were held out.\n"
    details = "".join(f"\n## {each.card.name}\n\n```text\n{card_text(each)}\n```\n" for each in named)
    return _PLACE.sub(lambda _: f"{table}\n{figures}{details}", page, count=1)


def _row(artefact: Artefact) -> tuple[str, ...]:
    card, finished = artefact.card, artefact.card.finished
    return (
        f"`{artefact.path}`",
        f"`{card.fingerprint.generator}`",
        f"{len(card.questions):,}",
        ", ".join(card.data),
        *map(cell, (finished.skill, finished.ece, finished.auc)),
    )
