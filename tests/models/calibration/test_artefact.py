"""Calibrations as files, and where they are found: nothing torn, edited or foreign is ever believed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as serialise
from worlds import fitted, fitted_report, measured, problems, training

from adascale.engine.calibration.features import QUESTION_STAGES, Observation
from adascale.engine.calibration.head import stack_states
from adascale.engine.codec import to_plain
from adascale.engine.errors import CalibrationError
from adascale.models.calibration import artefact as module
from adascale.models.calibration.artefact import (
    SUFFIX,
    Artefact,
    Card,
    Fingerprint,
    ProgramFingerprint,
    load_artefact,
    mismatches,
    question_key,
    read_installed,
    save_artefact,
    shipped_folder,
)
from adascale.models.files.catalog import catalog
from adascale.models.options import PROMPTS, WINDOW, SamplingParams

FINGERPRINT = Fingerprint(
    "a" * 64, "", "probe", "c" * 64, {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "max_tokens": 768}, 2048
)
CARD = Card(
    name="tiny+probe",
    fingerprint=FINGERPRINT,
    data=("train.jsonl", "more.jsonl"),
    questions=tuple(question_key(f"question {i}") for i in range(60)),
    samples=4,
    seed=0,
    held_out=fitted_report(),
)


def artefact(**changes: Any) -> Artefact:
    return Artefact(fitted()[0], replace(CARD, **changes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file."""
    path = tmp_path / f"tiny+probe{SUFFIX}"
    save_artefact(artefact(), path)
    return path


@pytest.mark.parametrize("programs", [0, 3])
def test_a_loaded_calibration_says_the_same(tmp_path: Path, programs: int) -> None:
    path, before = tmp_path / "new" / f"x{SUFFIX}", fitted(programs)[0]
    card = replace(CARD, programs=programs)
    save_artefact(Artefact(before, card), path)
    found = load_artefact(path)
    assert (found.card, found.path) == (card, path)
    samplers = (json.dumps(dict(each.fingerprint.sampling), sort_keys=True) for each in (found.card, card))
    assert len(set(samplers)) == 1  # whole numbers stay whole
    data = training(problems(10, 100), programs)
    after = found.head
    assert after is not None
    ours, theirs = (measured(each, data) for each in (before, after))
    assert ours.keys() == theirs.keys()
    for stage, expected in ours.items():
        assert theirs[stage].quantiles == pytest.approx(expected.quantiles, abs=1e-6)
    for mode, domain in before.domains.items():
        states = stack_states([each.observation for each in data.stages[QUESTION_STAGES[mode]]], "question")
        distance = after.domains[mode].distance(states)
        assert distance == pytest.approx(domain.distance(states), rel=1e-4)
        assert after.spreads[mode] == pytest.approx(before.spreads[mode], rel=1e-6)


BF16 = b'{"w":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}'  # a type that numpy lacks


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello, this is text" * 100,
        len(BF16).to_bytes(8, "little") + BF16 + bytes(8),
        5000,
    ],
    ids=["empty", "text", "type", "torn"],
)
def test_a_torn_file_and_another_kind_of_file_are_told(path: Path, data: bytes | int) -> None:
    path.write_bytes(path.read_bytes()[:data] if isinstance(data, int) else data)
    with pytest.raises(CalibrationError, match="cannot be read: it is missing, torn, or no"):
        load_artefact(path)
    with pytest.raises(CalibrationError, match="cannot be read: it is missing"):
        load_artefact(path.with_name("nowhere"))


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("domain.threshold", "lacks a part: .*threshold"),
        ("step.weights", "lacks a part: .*weights"),
        ("card", "lacks a part: .*card"),
        ("schema", "no calibration that this version reads"),
    ],
)
def test_a_missing_part_is_told_by_name(path: Path, missing: str, words: str) -> None:
    with safe_open(path, "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != missing}  # noqa: SIM118
        metadata = {name: text for name, text in file.metadata().items() if name != missing}
    path.write_bytes(serialise(tensors, metadata))
    with pytest.raises(CalibrationError, match=words):
        load_artefact(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"card": "[" * 100_000},
        {"inputs": "[" * 100_000},
        {"card": json.dumps(to_plain(replace(CARD, held_out={})))},
    ],
)
def test_a_card_that_nobody_wrote_is_refused(path: Path, changed: dict[str, str]) -> None:
    with safe_open(path, "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        path.write_bytes(serialise(tensors, file.metadata() | changed))
    with pytest.raises(CalibrationError, match="lacks a part"):
        load_artefact(path)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Empty folders of own and shipped calibrations."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    shipped = tmp_path / "shipped"
    monkeypatch.setattr(module, "shipped_folder", lambda: shipped)
    return module.own_folder(), shipped


def put(folder: Path, name: str, **changes: Any) -> Path:
    fingerprint = replace(FINGERPRINT, **changes)
    path = folder / f"{name}{SUFFIX}"
    save_artefact(artefact(name=name, fingerprint=fingerprint), path)
    return path


def test_a_calibration_is_found_by_what_it_belongs_to(folders: tuple[Path, Path]) -> None:
    own, shipped = folders
    assert read_installed().find(FINGERPRINT) is None
    put(own, "another generator", generator="b" * 64)
    put(own, "with a prm", prm="d" * 64, prm_format="judge")
    put(own, "same prm, another format", prm="d" * 64, prm_format="qwen")
    assert read_installed().find(FINGERPRINT) is None
    put(shipped, "shipped")

    def found(**changes: Any) -> str:
        artefact = read_installed().find(replace(FINGERPRINT, **changes))
        assert artefact is not None
        return artefact.card.name

    assert found(prompt="e" * 64, sampling={}) == "shipped"
    put(own, "zz own")
    assert found() == "zz own"
    put(own, "aa other sampler", sampling={"temperature": 0.2})
    assert found() == "zz own"
    assert found(prm="d" * 64, prm_format="judge") == "with a prm"


PROGRAM = ProgramFingerprint("d" * 64, FINGERPRINT.sampling)
LONG = {**FINGERPRINT.sampling, "think_tokens": 1024}
MISMATCHES = [
    ({}, {}, []),
    ({}, {"generator": "f" * 64}, ["another generator file (aaaaaaaaaaaa, not ffffffffffff)"]),
    ({}, {"prm": "f" * 64}, ["another PRM"]),
    ({}, {"window": 4096}, []),
    ({}, {"window": 512}, ["a context of 2,048 tokens, not 512"]),
    ({"window": 4096}, {"window": 2048}, []),
    ({"window": 4096, "sampling": LONG}, {"window": 2048}, ["a context of 4,096 tokens, not 2,048"]),
    ({}, {"prompt": "f" * 64}, ["another chat template or system prompt"]),
    ({}, {"sampling": {**FINGERPRINT.sampling, "top_p": 0.5}}, ["sampler (top_p 0.5 instead of 0.95)"]),
    ({}, {"sampling": {**FINGERPRINT.sampling, "typical_p": 0.9}}, ["typical_p 0.9 instead of 0"]),
    ({}, {"generator": "f" * 64, "prompt": "f" * 64}, ["another generator", "another chat template"]),
    ({}, {"program": replace(PROGRAM, prompt="f" * 64)}, ["another prompt for programs"]),
]


@pytest.mark.parametrize(("own", "changes", "words"), MISMATCHES, ids=[str([*c]) for _, c, _ in MISMATCHES])
def test_what_does_not_match_is_named(own: dict[str, Any], changes: dict[str, Any], words: list[str]) -> None:
    fingerprint = replace(FINGERPRINT, program=PROGRAM, **own)
    card = replace(CARD, fingerprint=fingerprint, programs=3)
    found = mismatches(card, replace(fingerprint, **changes))
    assert len(found) == len(words)
    assert all(word in notice.message for word, notice in zip(words, found, strict=True))
    assert all("may be" in notice.facts[0] and "calibrate fit" in notice.hint for notice in found)


FITTING = {
    "gsm8k-renumbered.jsonl",  # bench/evidence/renumber.py
    "math-train.jsonl",
    "mbpp-fit-mixed.jsonl",  # bench/evidence/given_tests.py
}
SHIPPED = {
    "qwen2.5-coder-0.5b+probe": [0.0834, 0.0957, 0.2157, 0.2981, 0.5833, 0.7379],
    "qwen2.5-coder-0.5b+probe+code": [0.153, 0.3878, 0.7086],
    "qwen2.5-coder-1.5b+probe": [0.6146, 0.4338, 0.6041, 0.3462, 0.7257, 0.635],
    "qwen2.5-coder-1.5b+probe+code": [0.4534, 0.6874, 0.7276],
}
"""By file: of each stage in its order, then of an answer, the probability where every number is .5 and every
state 1."""


def test_those_that_ship_are_known() -> None:
    assert {path.name for path in shipped_folder().iterdir()} == {f"{name}{SUFFIX}" for name in SHIPPED}


@pytest.mark.parametrize("own_name", SHIPPED)
def test_one_that_ships_is_of_a_built_in_model_and_says_what_it_said_when_it_was_fitted(
    own_name: str,
) -> None:
    path = shipped_folder() / f"{own_name}{SUFFIX}"
    found = load_artefact(path)
    card, fitted = found.card, found.head
    assert fitted is not None
    name, prm, *kind = card.name.split("+")
    assert (card.fingerprint.generator, prm) == (catalog()[name].sha256, "probe")
    assert [card.fingerprint.kind] == (kind or ["value"])
    assert path.stat().st_size <= 4_000_000
    assert set(card.data) <= FITTING
    assert len(card.questions) >= 100
    assert card.fingerprint.window == WINDOW
    usual = SamplingParams().record()
    assert card.fingerprint.sampling == usual | {"temperature": card.fingerprint.sampling["temperature"]}
    ones, said = np.ones(fitted.width, np.float32), []
    for model in fitted.models.values():
        states = dict.fromkeys(model.states, ones)
        said.append(model.estimate(Observation(dict.fromkeys(model.names, 0.5), states)).median)
    assert said == pytest.approx(SHIPPED[own_name], abs=1e-4)


def test_the_prompts_are_those_that_they_were_fitted_with() -> None:
    """Another prompt makes every shipped calibration warn: fit them again, then change this."""
    shipped = (PROMPTS["prose"], PROMPTS["program"], PROMPTS["code"])
    prompts = [hashlib.sha256(prompt.encode()).hexdigest()[:12] for prompt in shipped]
    assert prompts == ["8037240ec75c", "495871620638", "2e7d1832540f"]
