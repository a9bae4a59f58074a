"""The options of ``adascale export``, and their flags: apart, as only this command imports datasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.models import OptionInfo

from adascale.export.filters import Filters
from adascale.export.formats import Labelling

from .declare import FILTERS, OUTPUT, flag


@dataclass(frozen=True, slots=True)
class InputOptions:
    """What is read.

    Attributes:
        sources: ``runs``, ``rollouts``, ``draws`` or paths; empty for runs.
        data: Files of the questions that were evaluated.
        draw_seed: Seed of the evaluation whose draws are read.
        mixed: Whether one dataset may hold solutions of several generators.
    """

    sources: list[str] = field(default_factory=list)
    data: list[Path] = field(default_factory=list)
    draw_seed: int = 0
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What is written.

    Attributes:
        path: File of the dataset; a split has two files named after it.
        split: Share of the questions to train on, in (0, 1].
        seed: Seed of the split.
        licence: Licence of the questions, as the user says.
        overwrite: Whether files that exist are replaced.
        dry_run: Whether nothing is written.
    """

    path: Path | None = None
    split: float = 1.0
    seed: int = 0
    licence: str | None = None
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """Everything that ``export`` takes beside the format."""

    input: InputOptions = InputOptions()
    labelling: Labelling = Labelling()
    filters: Filters = Filters()
    output: OutputOptions = OutputOptions()


DATASET_FLAGS: Mapping[type[Any], Mapping[str, OptionInfo | None]] = {
    InputOptions: {
        "sources": flag(
            None,
            "--from",
            "What this machine keeps, a trace, a folder of traces, or a store; may be given several times.",
            metavar="runs|rollouts|draws|PATH",
            show_default="runs",
        ),
        "data": flag(
            None,
            "--data -d",
            "Questions that were evaluated, for draws; several in the order of the evaluation.",
            metavar="FILE",
            show_default=False,
        ),
        "draw_seed": flag(None, "--draw-seed", "The seed of the evaluation whose draws are read."),
        "mixed": flag(None, "--mixed", "Allow solutions of several models in one dataset."),
    },
    Labelling: {
        "threshold": flag(None, "--threshold", "Least probability that is labelled right."),
        "min_gap": flag(None, "--min-gap", "Least difference of the probabilities of a pair."),
        "pairs": flag(None, "--pairs", "What a preference compares."),
    },
    Filters: {
        "calibrated": flag(FILTERS, "--calibrated", "Only steps with a calibrated estimate."),
        "in_domain": flag(
            FILTERS, "--in-domain", "Only questions like those that the calibration was fitted on."
        ),
        "known_answers": flag(FILTERS, "--known-answers", "Only questions whose answer is known."),
        "ran": flag(FILTERS, "--ran", "Only programs that ran to their end."),
        "min_count": flag(FILTERS, "--min-count", "Least number of draws through a step.", min=0),
        "max_tokens": flag(FILTERS, "--max-tokens", "Most tokens of a solution.", min=1),
        "mode": flag(FILTERS, "--mode", "Only solutions that reason like this."),
    },
    OutputOptions: {
        "path": flag(OUTPUT, "--output -o", "Ends in .jsonl, or in .parquet.", show_default=False),
        "split": flag(
            OUTPUT, "--split", "Share of the questions to train on; the others go into a file of their own."
        ),
        "seed": flag(OUTPUT, "--seed", "Seed of the split."),
        "licence": flag(OUTPUT, "--licence", "Licence of the questions, for the card."),
        "overwrite": flag(OUTPUT, "--overwrite", "Replace files that exist."),
        "dry_run": flag(OUTPUT, "--dry-run", "Write nothing: print the card and the first row."),
    },
}
