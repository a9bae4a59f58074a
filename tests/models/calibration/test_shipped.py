"""The calibrations that come with the package belong to the models and the prompt that come with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from adascale.engine.calibration.features import Observation
from adascale.engine.calibration.options import OptionsCalibration
from adascale.engine.kinds import KINDS
from adascale.models.calibration.artefact import SUFFIX, load_artefact, shipped_folder
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


NUMBERS = {
    "portable+choice": [0.7613, 0.2387],
    "portable+yes-no": [0.5757, 0.4243],
    "qwen2.5-coder-0.5b+probe": [0.0834, 0.0957, 0.2157, 0.2981, 0.5833, 0.7379],
    "qwen2.5-coder-0.5b+probe+choice": [0.505, 0.495],
    "qwen2.5-coder-0.5b+probe+code": [0.153, 0.3878, 0.7086],
    "qwen2.5-coder-0.5b+probe+yes-no": [0.7397, 0.2603],
    "qwen2.5-coder-1.5b+probe": [0.6146, 0.4338, 0.6041, 0.3462, 0.7257, 0.635],
    "qwen2.5-coder-1.5b+probe+choice": [0.7613, 0.2387],
    "qwen2.5-coder-1.5b+probe+code": [0.4534, 0.6874, 0.7276],
    "qwen2.5-coder-1.5b+probe+yes-no": [0.5757, 0.4243],
    "smollm2-135m+probe": [0.0042, 0.0154, 0.0275, 0.0172],
}
"""By file: of each stage in its order, then of an answer, the probability where every number is .5 and every
state 1; of options, that of two whose look has the log-probabilities -1 and -2."""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name.removesuffix(SUFFIX))
def test_it_gives_the_probabilities_that_it_gave_when_it_was_fitted(path: Path) -> None:
    fitted = load_artefact(path).calibration
    if isinstance(fitted, OptionsCalibration):
        found = fitted.weights.posterior((-1.0, -2.0), ())
    else:
        ones = np.ones(fitted.width, np.float32)
        models = [*fitted.stages.values(), fitted.answer]
        seen = [
            Observation(dict.fromkeys(each.inputs.names, 0.5), dict.fromkeys(each.inputs.projections, ones))
            for each in models
        ]
        found = [each.estimate(one).median for each, one in zip(models, seen, strict=True)]
    assert found == pytest.approx(NUMBERS[path.name.removesuffix(SUFFIX)], abs=1e-4)
