"""The calibrations that come with the package belong to the models and the prompt that come with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from adascale.engine.calibration.options import OptionsCalibration
from adascale.engine.kinds import KINDS
from adascale.models.calibration.artefact import SUFFIX, load_artefact
from adascale.models.calibration.installed import shipped_folder
from adascale.models.files.catalog import DEFAULT_GENERATOR, catalog
from adascale.models.options import PROMPTS, WINDOW, SamplingParams

FITTING = {
    "gsm8k-train.jsonl",
    "math-train.jsonl",
    "gsm8k-renumbered.jsonl",  # bench/evidence/renumber.py
    "svamp-train.jsonl",
    "multiarith.jsonl",
    "singleop.jsonl",
    "addsub.jsonl",
    "mbpp-fit-mixed.jsonl",  # bench/evidence/given_tests.py
    "mmlu-fit.jsonl",
    "commonsenseqa-fit.jsonl",
    "openbookqa-fit.jsonl",
    "boolq-fit.jsonl",
}
SHIPPED = sorted(shipped_folder().glob(f"*{SUFFIX}"))
FITTED = [path for path in SHIPPED if load_artefact(path).card.level == "fitted"]


def test_the_default_model_and_the_small_ones_have_one() -> None:
    coders = (DEFAULT_GENERATOR, "qwen2.5-coder-0.5b")
    of_values = {f"{name}+probe" for name in (*coders, "smollm2-135m")}
    of_kinds = {f"{name}+probe+{kind}" for name in coders for kind in ("choice", "yes-no", "code")}
    assert {load_artefact(path).card.name for path in FITTED} == of_values | of_kinds


@pytest.mark.parametrize("path", FITTED, ids=lambda path: path.name.removesuffix(SUFFIX))
def test_it_is_of_a_built_in_model_and_was_fitted_on_fitting_questions(path: Path) -> None:
    card = load_artefact(path).card
    name, prm, *kind = card.name.split("+")
    assert (card.fingerprint.generator, prm) == (catalog()[name].sha256, "probe")
    assert [card.fingerprint.kind] == (kind or ["value"])
    assert path.stat().st_size <= 4_000_000
    assert set(card.data) <= FITTING
    assert card.fingerprint.window == WINDOW
    if KINDS[card.fingerprint.kind].has_options:  # a few numbers, and no sampler that matters
        assert len(card.questions) >= 30
        return
    usual = SamplingParams().record()
    assert card.fingerprint.sampling == usual | {"temperature": card.fingerprint.sampling["temperature"]}
    assert len(card.questions) >= 100


def test_others_are_portable_for_options() -> None:
    cards = [load_artefact(path).card for path in SHIPPED if path not in FITTED]
    assert {each.name for each in cards} == {"portable+choice", "portable+yes-no"}
    assert {each.fingerprint.generator for each in cards} == {""}


def test_a_small_model_reads_options_only_by_a_calibration_of_its_own() -> None:
    for artefact in map(load_artefact, SHIPPED):
        small = artefact.of_size(0.2e9).calibration
        if isinstance(artefact.calibration, OptionsCalibration):
            assert isinstance(small, OptionsCalibration)
            own = 0.0 if artefact.card.level == "portable" else artefact.calibration.weights.trust
            assert small.weights.trust == own


def test_the_prompts_are_those_that_they_were_fitted_with() -> None:
    """Another prompt makes every shipped calibration warn: fit them again, then change this."""
    shipped = (PROMPTS["prose"], PROMPTS["program"], PROMPTS["code"])
    prompts = [hashlib.sha256(prompt.encode()).hexdigest()[:12] for prompt in shipped]
    assert prompts == ["8037240ec75c", "495871620638", "2e7d1832540f"]
