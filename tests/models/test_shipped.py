"""The calibrations that come with the package belong to the models and the prompt that come with it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from adascale.models.calibrations import SUFFIX, load
from adascale.models.catalog import DEFAULT_GENERATOR, catalog
from adascale.models.sampling import SamplingParams
from adascale.models.shelf import shipped_folder

FITTING = {
    "gsm8k-train.jsonl",
    "math-train.jsonl",
    "svamp-train.jsonl",
    "multiarith.jsonl",
    "singleop.jsonl",
    "addsub.jsonl",
}
SHIPPED = sorted(shipped_folder().glob(f"*{SUFFIX}"))


def test_the_default_model_has_one() -> None:
    assert f"{DEFAULT_GENERATOR}+probe" in {load(path).card.name for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name.removesuffix(SUFFIX))
def test_it_is_of_a_built_in_model_and_was_fitted_on_fitting_questions(path: Path) -> None:
    card = load(path).card
    name, _, prm = card.name.partition("+")
    assert (card.fingerprint.generator, prm) == (catalog()[name].sha256, "probe")
    assert path.stat().st_size <= 4_000_000
    assert set(card.data) <= FITTING
    assert card.fingerprint.sampling == asdict(SamplingParams())
    assert card.questions >= 100
