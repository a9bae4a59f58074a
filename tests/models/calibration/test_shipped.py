"""The calibrations that come with the package belong to the models and the prompt that come with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from adascale.models.calibration.artefact import SUFFIX, load_artefact
from adascale.models.calibration.installed import shipped_folder
from adascale.models.files.catalog import DEFAULT_GENERATOR, catalog
from adascale.models.options import SYSTEM_PROMPT, SamplingParams
from adascale.models.session import WINDOW

FITTING = {
    "gsm8k-train.jsonl",
    "math-train.jsonl",
    "gsm8k-renumbered.jsonl",  # bench/evidence/renumber.py
    "svamp-train.jsonl",
    "multiarith.jsonl",
    "singleop.jsonl",
    "addsub.jsonl",
}
SHIPPED = sorted(shipped_folder().glob(f"*{SUFFIX}"))


def test_the_default_model_and_the_small_ones_have_one() -> None:
    wanted = (DEFAULT_GENERATOR, "qwen2.5-coder-0.5b", "smollm2-135m")
    assert {f"{name}+probe" for name in wanted} == {load_artefact(path).card.name for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name.removesuffix(SUFFIX))
def test_it_is_of_a_built_in_model_and_was_fitted_on_fitting_questions(path: Path) -> None:
    card = load_artefact(path).card
    name, _, prm = card.name.partition("+")
    assert (card.fingerprint.generator, prm) == (catalog()[name].sha256, "probe")
    assert path.stat().st_size <= 4_000_000
    assert set(card.data) <= FITTING
    usual = SamplingParams().record()
    assert card.fingerprint.sampling == usual | {"temperature": card.fingerprint.sampling["temperature"]}
    assert len(card.questions) >= 100
    assert card.fingerprint.window == WINDOW


def test_the_prompt_is_the_one_that_they_were_fitted_with() -> None:
    """Another prompt makes every shipped calibration warn: fit them again, then change this."""
    assert hashlib.sha256(SYSTEM_PROMPT.encode()).hexdigest()[:12] == "8037240ec75c"
