"""The card of calibrations that are published on the Hugging Face Hub: a README.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .calibrate_report import card_text, cell

if TYPE_CHECKING:
    from adascale.models.calibration.artefact import Description

_HEAD = """---
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

"""
_COLUMNS = ("file", "generator (sha256)", "questions", "data", "skill", "ECE", "AUC")


def calibration_page(cards: Sequence[Description]) -> str:
    """The page of a repository that has these calibrations, without the folders of this machine."""
    cards = [replace(card, file=Path(card.file).name if card.file else None) for card in cards]
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_row, cards)]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    figures = "Skill, ECE and AUC are of finished answers, on questions that were held out.\n"
    details = "".join(f"\n## {card.name}\n\n```text\n{card_text(card)}\n```\n" for card in cards)
    return f"{_HEAD}{table}\n{figures}{details}"


def is_calibration_page(text: str) -> bool:
    """Whether a page is one that ``calibration_page`` has written."""
    return text.startswith(_HEAD)


def _row(card: Description) -> tuple[str, ...]:
    finished = card.finished
    return (
        f"`{card.file}`",
        f"`{card.fingerprint.generator}`",
        f"{card.questions:,}",
        ", ".join(card.data),
        *map(cell, (finished.skill, finished.ece, finished.auc)),
    )
