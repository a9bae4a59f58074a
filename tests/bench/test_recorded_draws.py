"""Recorded solutions: what is kept of a search, and what is played back from it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from scripted import ScriptedExecutor
from worlds import ReadingPolicy, execute, fitted, fitted_report, problems, solve

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.ports import SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event
from adascale.engine.search.record import Record
from adascale.engine.strategies import Adaptive
from adascale.engine.types import Mode, Problem
from adascale.models.calibration.artefact import Artefact, Card, Fingerprint, save_artefact
from bench.common import append
from bench.evidence import draw, recorded_draws
from bench.evidence.recorded_draws import by_mode

SAMPLES = 5
PROGRAMS = 3
SEED = 3


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    fingerprint = Fingerprint("g", "", "probe", "p", {}, 2048)
    card = Card("tiny+probe", fingerprint, (), (), 4, 0, fitted_report())
    path = tmp_path_factory.mktemp("fit") / "tiny.calibration.safetensors"
    artefact = Artefact(fitted(programs=3)[0], card, path)
    save_artefact(artefact, path)
    return artefact


@pytest.fixture(scope="module")
def logs(artefact: Artefact) -> dict[str, tuple[Problem, list[Event]]]:
    driver = Driver(
        ReadingPolicy(solve, 8),
        SequenceLogprob(),
        {"value": Posterior(head=artefact.calibration)},
        lambda: 0.0,
        executor=ScriptedExecutor(execute),
    )
    found: dict[str, tuple[Problem, list[Event]]] = {}
    for problem, event in driver.run(problems(6), Settings(draw.Everything(SAMPLES, PROGRAMS), seed=SEED)):
        found.setdefault(problem.id, (problem, []))[1].append(event)
    return found


@pytest.fixture
def file(tmp_path: Path, artefact: Artefact, logs: dict[str, tuple[Problem, list[Event]]]) -> Path:
    path = tmp_path / "draws.jsonl.gz"
    header = {
        "schema": recorded_draws.SCHEMA,
        "model": "tiny",
        "generator": "g",
        "calibration": "tiny+probe",
        "calibration_sha256": recorded_draws.digest(artefact),
        "seed": SEED,
        "samples": SAMPLES,
        "programs": PROGRAMS,
        "flops_per_token": 2.0,
        "step_seconds": {"1": 0.1},
    }
    append(path, header)
    for problem, log in logs.values():
        append(path, draw.record(problem, log, artefact))
    return path


@pytest.mark.parametrize("modes", [("program",), ("program", "prose")])
def test_a_search_draws_no_more_programs_than_are_recorded(
    file: Path, artefact: Artefact, modes: tuple[Mode, ...]
) -> None:
    assert artefact.path is not None
    header, driver, known, _ = recorded_draws.replay_driver(file, calibration=artefact.path)
    never_sure = Adaptive(samples=SAMPLES, lead=SAMPLES + 1, modes=modes, hopeless=0.0, cut=0.0)
    strategy = recorded_draws.within(never_sure, header)
    records: dict[str, Record] = {}
    for problem, event in driver.run(known, Settings(strategy, seed=SEED)):
        records[problem.id] = Record.after(records.get(problem.id), event)
    drawn = [
        Counter(record.tree[each.node].mode for each in record.candidates) for record in records.values()
    ]
    assert max(found["program"] for found in drawn) == PROGRAMS
    if "prose" in modes:
        assert max(found.total() for found in drawn if found["program"] == PROGRAMS) == SAMPLES


@pytest.mark.parametrize("programs", [True, False])
def test_a_file_is_played_back_with_programs_or_without(
    file: Path, artefact: Artefact, programs: bool
) -> None:
    header, kept = recorded_draws.load(file)
    if not programs:
        for record in kept:
            del record["program"]
        file.unlink()
        append(file, header, *kept)
    assert artefact.path is not None
    _, driver, asked, _ = recorded_draws.replay_driver(file, 2, calibration=artefact.path)
    answers = {
        record["id"]: [each["answer"] for own in by_mode(record).values() for each in own["samples"]]
        for record in kept
    }
    strategy = draw.Everything(SAMPLES, PROGRAMS if programs else 0)
    events = [*driver.run(asked, Settings(strategy, seed=SEED))]
    ends = [(problem, event) for problem, event in events if event.kind == "search_finished"]
    assert len(ends) == len(asked)
    for problem, end in ends:
        votes = [answer for answer in answers[problem.id] if answer is not None]
        assert (end.result.answer in votes) == bool(votes)
        assert end.result.stop_reason == "exhausted"
