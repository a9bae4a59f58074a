"""The card of calibrations that are published on the Hugging Face Hub: a README.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .calibrate_report import card_text, cell

if TYPE_CHECKING:
    from adascale.models.calibration.artefact import Description

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


def fill(page: str, cards: Sequence[Description]) -> str:
    """A page with these calibrations, without the folders of this machine; what is around them stays."""
    cards = [replace(card, file=Path(card.file).name if card.file else None) for card in cards]
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_row, cards)]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    figures = "Skill, ECE and AUC are of finished answers, on questions that were held out.\n"
    details = "".join(f"\n## {card.name}\n\n```text\n{card_text(card)}\n```\n" for card in cards)
    return _PLACE.sub(lambda _: f"{table}\n{figures}{details}", page, count=1)


def _row(card: Description) -> tuple[str, ...]:
    finished = card.finished
    return (
        f"`{card.file}`",
        f"`{card.fingerprint.generator}`",
        f"{card.questions:,}",
        ", ".join(card.data),
        *map(cell, (finished.skill, finished.ece, finished.auc)),
    )
