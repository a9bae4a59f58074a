"""``adascale calibrate`` as a user runs it, on tiny models: fitted, checked, shown, used, killed, resumed."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tiny
import typer
from commands import wait_until
from home import Home, write_questions
from worlds import fitted, fitted_report

from adascale.cli.commands.calibrate import _save
from adascale.cli.options.by_command import CalibrationOptions, FitOptions
from adascale.cli.options.parts import TerminalOptions
from adascale.cli.searching.calibration import choose_problems, draw_options, score_missing
from adascale.engine.answers.result import PROFILES
from adascale.engine.calibration.calibration import Calibration, Domain
from adascale.engine.calibration.features import STAGES_OF
from adascale.engine.calibration.head import HeadModel
from adascale.engine.errors import DecodeAbortedError, UsageError
from adascale.engine.fitting import report as calibration_report
from adascale.engine.fitting.head import HeadConfig
from adascale.engine.fitting.metrics import bootstrap
from adascale.engine.types import Problem
from adascale.models.calibration import session_rollouts
from adascale.models.calibration.artefact import (
    SUFFIX,
    Artefact,
    Card,
    Fingerprint,
    load_artefact,
    save_artefact,
)
from adascale.models.calibration.option_draws import DrawnOptions, OptionDraws
from adascale.models.calibration.session_rollouts import FEWEST, SessionRollouts
from adascale.models.llama.chat import ChatFormat
from adascale.models.llama.native import AbortFlag
from adascale.models.llama.prefixes import PrefixCache, read_prompt
from adascale.models.llama.runtime import LlamaContext, LlamaModel
from adascale.models.options import PROMPTS

QUESTIONS = 24
ROWS = 2
"""Of each question in the store: prose, and programs."""


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Fits of few steps, and bootstraps of few rounds: no test here asks how good they are."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (session_rollouts, calibration_report):
            patch.setattr(module, "HeadConfig", partial(HeadConfig, steps=40, folds=2))
        patch.setattr(calibration_report, "bootstrap", lambda *given, rounds: bootstrap(*given, rounds=20))
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, chain_gguf: Path) -> Home:
    folder = tmp_path_factory.mktemp("home")
    return Home(folder, chain_gguf, write_questions(folder / "train.jsonl", range(QUESTIONS)))


@pytest.fixture(scope="module")
def first(home: Home) -> subprocess.CompletedProcess[str]:
    """The fit that all tests here look at."""
    return home.run(*home.fit_args())


@pytest.fixture(scope="module")
def artefact(home: Home, first: subprocess.CompletedProcess[str]) -> Path:
    assert first.returncode == 0, first.stderr
    [path] = home.shelf.iterdir()
    return path


def test_fit_writes_an_artefact_and_prints_a_report(
    home: Home, first: subprocess.CompletedProcess[str], artefact: Path
) -> None:
    assert first.returncode == 0, first.stderr
    assert re.fullmatch(rf"chain\+probe-[0-9a-f]{{8}}{re.escape(SUFFIX)}", artefact.name)
    card = load_artefact(artefact).card
    assert (card.name, card.method, len(card.questions)) == ("chain+probe", "beta", QUESTIONS)
    assert (card.samples, card.rollouts, card.programs) == (3, 0, 3)
    assert (card.seed, card.data) == (0, ("train.jsonl",))
    assert card.fingerprint.generator == hashlib.sha256(home.model.read_bytes()).hexdigest()
    assert home.kept() == ROWS * QUESTIONS
    for stage in ("question", "unfinished", "finished", "answer"):
        assert f"\n{stage}" in first.stdout
        assert f"{stage}: estimated, observed" in first.stdout
    assert f"generating solutions of {QUESTIONS} questions, 6 each: about" in first.stderr
    assert "a fit adds" in first.stderr
    assert "tokens/s that this machine decodes" in first.stderr
    assert f"wrote ~/{artefact.relative_to(home.folder)}" in first.stderr
    assert str(home.folder) not in artefact.read_bytes().decode("latin-1")


def test_its_rollouts_are_training_data(home: Home, artefact: Path) -> None:
    done = home.run("export", "--from", "rollouts", "--to", "trl-prm")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({row["prompt"] for row in rows}) == QUESTIONS
    assert {row["labels"][-1] for row in rows} == {True, False}


@pytest.mark.slow
def test_a_second_fit_draws_nothing_and_writes_the_same(
    home: Home, first: subprocess.CompletedProcess[str], artefact: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    done = home.run(*home.fit_args("-o", str(other)))
    assert done.returncode == 0, done.stderr
    assert "generating" not in done.stderr
    assert done.stdout == first.stdout
    assert other.read_bytes() == artefact.read_bytes()


def test_check_without_a_calibration_measures_raw_scores(home: Home, artefact: Path) -> None:
    args = ["-g", str(home.model), "--ctx-size", "512", "-d", str(home.data), "--json"]
    done = home.run("calibrate", "check", "--calibration", "none", *args)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["calibration"] is None
    assert set(record["stages"]) == {"step", "finished", "program"}
    finished = record["stages"]["finished"]
    assert "raw" not in finished  # it is not compared with itself
    assert 0 < finished["brier"] < 1


@pytest.mark.slow
def test_check_measures_on_other_questions(home: Home, artefact: Path, tmp_path: Path) -> None:
    before = artefact.read_bytes()
    fresh = write_questions(tmp_path / "fresh.jsonl", range(1000, 1020))
    args = ["-g", str(home.model), "--ctx-size", "512", "-n", "12", "--seed", "3", "--json"]
    done = home.run("calibrate", "check", "-d", str(fresh), *args)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["schema"] == "adascale.calibrate/1"
    assert record["calibration"]["name"] == "chain+probe"
    assert record["calibration"]["data"] == ["train.jsonl"]
    assert (record["data"], record["warnings"]) == (["fresh.jsonl"], [])
    assert set(record["stages"]) == {"question", "step", "finished", "program question", "program", "answer"}
    programs = [record["stages"].pop(stage) for stage in ("program question", "program")]
    assert [data["base_rate"] for data in programs] == [0, 0]  # the model writes none that runs
    for data in record["stages"].values():
        assert data["n"] >= data["questions"] == 12
        assert 0 < data["base_rate"] < 1
    assert record["stages"]["question"]["n"] == 12
    assert record["stages"]["question"]["outcomes"] == 36
    assert artefact.read_bytes() == before


@pytest.mark.slow
def test_check_draws_no_programs_for_a_calibration_of_prose_alone(
    home: Home, artefact: Path, tmp_path: Path
) -> None:
    whole = load_artefact(artefact)
    both = whole.calibration
    prose = Calibration(
        {stage: both.stages[stage] for stage in STAGES_OF["prose"]},
        both.answer,
        {"prose": both.domains["prose"]},
        {"prose": both.profiles["prose"]},
    )
    path = tmp_path / f"prose{SUFFIX}"
    save_artefact(Artefact(prose, replace(whole.card, programs=0)), path)
    fresh = write_questions(tmp_path / "fresh.jsonl", range(2000, 2012))
    args = ["-g", str(home.model), "--ctx-size", "512", "--calibration", str(path), "--json"]
    done = home.run("calibrate", "check", "-d", str(fresh), *args)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["stages"]) == {"question", "step", "finished", "answer"}


@pytest.mark.slow
def test_another_method_is_fitted_on_the_same_rollouts(home: Home, artefact: Path, tmp_path: Path) -> None:
    path = tmp_path / f"quantile{SUFFIX}"
    done = home.run(*home.fit_args("--method", "quantile", "-o", str(path)))
    assert done.returncode == 0, done.stderr
    assert "generating" not in done.stderr
    assert load_artefact(path).card.method == "quantile"
    assert path.read_bytes() != artefact.read_bytes()


@pytest.mark.slow
def test_a_judge_scores_the_same_rollouts_once(home: Home, artefact: Path, tmp_path: Path) -> None:
    path = tmp_path / f"judge{SUFFIX}"
    done = home.run(*home.fit_args("--prm", "self", "-o", str(path)))
    assert done.returncode == 0, done.stderr
    assert "generating" not in done.stderr
    assert f"scoring the solutions of {QUESTIONS} questions with chain+chain" in done.stderr
    fingerprint = load_artefact(path).card.fingerprint
    assert (fingerprint.prm, fingerprint.prm_format) == (fingerprint.generator, "judge")
    args = ["-g", str(home.model), "--ctx-size", "512", "-d", str(home.data), "--prm", "self", "--json"]
    check = home.run("calibrate", "check", "--calibration", str(path), *args)
    assert check.returncode == 0, check.stderr
    assert "scoring" not in check.stderr
    assert "warning[fitted-on-this]" in check.stderr
    record = json.loads(check.stdout)
    assert [f"fitted on {QUESTIONS} of these questions" in text for text in record["warnings"]] == [True]
    ask = ["ask", "-g", str(home.model), "What is 7 * 2?", "--samples", "2", "--seed", "1", "--json"]
    found = json.loads(home.run(*ask, "--prm", "self", "--calibration", str(path)).stdout)
    assert found["confidence"]["calibrated"]
    assert found["usage"]["prm_tokens"] > 0


def test_a_calibration_of_another_width_or_without_a_prm_is_refused(
    home: Home, artefact: Path, random_gguf: Path
) -> None:
    ask = ["ask", "What is 7 * 2?", "--ctx-size", "512", "--calibration", str(artefact), "-g"]
    wide = home.run(*ask, str(random_gguf))
    assert (wide.returncode, wide.stdout) == (4, "")
    assert "this generator's have 64" in wide.stderr
    bare = home.run(*ask, str(home.model), "--prm", "none")
    assert bare.returncode == 2
    assert "--prm none leaves nothing to calibrate" in bare.stderr


def test_no_calibration_is_fitted_for_facts(home: Home, tmp_path: Path) -> None:
    """It would take the place of how well solutions agree, which is all that judges a fact."""
    rows = [{"question": f"Who is number {n}?", "answer": "Ann", "kind": "fact"} for n in range(FEWEST)]
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = home.run("calibrate", "fit", "-g", str(home.model), "-d", str(path), "--ctx-size", "512")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing is fitted for questions of the kind fact" in done.stderr


def test_questions_that_do_not_fit_are_counted_before_anything_is_fitted(home: Home, tmp_path: Path) -> None:
    rows = [{"question": f"{i} word" * 400, "answer": "1"} for i in range(24)]
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    args = ["calibrate", "fit", "-g", str(home.model), "-d", str(path), "--ctx-size", "512"]
    done = home.run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "1 is left out" in done.stderr
    assert "0 questions are too few" in done.stderr


@pytest.mark.slow
def test_code_tasks_have_a_calibration_of_their_own(tmp_path: Path) -> None:
    model = tiny.write_chain(tmp_path / "coder.gguf", tiny.CODER)
    home = Home(tmp_path, model, tmp_path / "tasks.jsonl")
    tests = {"tests": "assert f(2) == 4", "hidden": ["assert f(3) == 9"]}
    rows = [{"id": n, "question": f"Square n, way {n}.", **tests} for n in range(FEWEST)]
    home.data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = home.run(*home.fit_args("--programs", "2", "--json"))
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["stages"]) == {"task", "code", "answer"}
    [path] = home.shelf.iterdir()
    card = load_artefact(path).card
    assert (card.name, card.samples, card.programs) == ("coder+probe+code", 0, 2)
    assert card.fingerprint.kind == "code"
    assert "coder+probe+code" in home.run("calibrate", "list").stdout

    args = ["-g", str(model), "--ctx-size", "512", "--seed", "1", "--json", "-q"]
    found = json.loads(home.run("code", "Square n.", "--test", "assert f(2) == 4", *args).stdout)
    assert found["confidence"]["calibrated"] is True
    assert found["calibration"]["name"] == "coder+probe+code"
    asked = json.loads(home.run("ask", "What is 9 * 2?", *args).stdout)
    assert asked["calibration"]["level"] == "portable"


@pytest.mark.slow
def test_questions_with_options_have_a_calibration_that_reads_them(tmp_path: Path, chain_gguf: Path) -> None:
    """The letters of a random model know nothing, which the weights say."""
    tasks = [
        {"id": f"{n}", "question": f"Pick {n}.", "options": ["red", "green"], "answer": "red"}
        for n in range(FEWEST)
    ]
    data = tmp_path / "options.jsonl"
    data.write_text("".join(json.dumps(task) + "\n" for task in tasks))
    home = Home(tmp_path / "home", chain_gguf, data)
    done = home.run(*home.fit_args("--json"))
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["calibration"]["fingerprint"]["kind"] == "choice"
    assert made["stages"].keys() == {"look", "answer"}
    checked = home.run("calibrate", "check", "-g", str(home.model), "-d", str(data), "--json", "-q")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["stages"].keys() == {"look", "answer"}
    asked = home.run("ask", "-g", str(home.model), "--choices", "red,green", "--json", "Pick one.")
    answer = json.loads(asked.stdout)
    assert (answer["kind"], answer["options"].keys()) == ("choice", {"red", "green"})
    assert answer["confidence"]["calibrated"]
    assert answer["answer"] == max(answer["options"], key=answer["options"].get)


def test_list_and_show(home: Home, artefact: Path) -> None:
    def run(*args: str) -> str:
        done = home.run("calibrate", *args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = run("list").splitlines()
    assert listed[0].split() == ["NAME", "LEVEL", "METHOD", "QUESTIONS", "SKILL", "ECE", "DATA"]
    [line] = [line for line in listed if line.startswith("chain+probe ")]
    assert line.split()[1:4] == ["fitted", "beta", str(QUESTIONS)]
    assert line.endswith("train.jsonl")
    assert not any("/" in line for line in listed)
    [line] = [line for line in run("list", "-v").splitlines() if line.startswith("chain+probe ")]
    assert line.endswith(f"~/{artefact.relative_to(home.folder)}")
    cards = [json.loads(line) for line in run("list", "--json").splitlines()]
    [card] = [card for card in cards if card["name"] == "chain+probe"]
    assert json.loads(run("show", "chain+probe", "--json")) == card
    assert card["fingerprint"]["generator"] == load_artefact(artefact).card.fingerprint.generator
    assert json.loads(run("show", "-m", str(home.model), "--json")) == card
    text = run("show", str(artefact))
    assert card["fingerprint"]["generator"] in text
    assert "Held out by question" in text
    assert "3 in prose, 0 continued, 3 programs" in text


def test_the_calibration_before_a_fit_is_kept_wherever_it_is(artefact: Path, tmp_path: Path) -> None:
    output = tmp_path / f"mine{SUFFIX}"
    output.write_bytes(b"hours of work")
    _save(load_artefact(artefact), output, quiet=True)
    assert output.read_bytes() == artefact.read_bytes()
    assert output.with_name(f"{output.name}.before").read_bytes() == b"hours of work"


def test_a_torn_file_on_the_shelf_is_told_and_hides_no_other(
    home: Home, artefact: Path, tmp_path: Path
) -> None:
    moved = replace(home, folder=tmp_path)
    moved.shelf.mkdir(parents=True)
    (moved.shelf / artefact.name).write_bytes(artefact.read_bytes())
    (moved.shelf / f"a{SUFFIX}").write_bytes(artefact.read_bytes()[:1000])
    done = moved.run(
        "ask", "-g", str(home.model), "What is 7 * 2?", "--samples", "1", "--ctx-size", "512", "--json"
    )
    assert "warning[calibration-unreadable]" in done.stderr
    assert json.loads(done.stdout)["calibration"]["name"] == "chain+probe"
    told = moved.run("doctor", "--offline", "-g", str(home.model))
    assert "cannot be read" in told.stdout
    listed = moved.run("calibrate", "list")
    assert f"a{SUFFIX} cannot be read" in " ".join(listed.stderr.split())
    assert "chain+probe" in listed.stdout


def test_ask_gives_a_probability_and_says_where_it_is_from(
    home: Home, artefact: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "t.jsonl"
    ask = ["ask", "-g", str(home.model), "What is 7 * 2?", "--samples", "4", "--seed", "1", "--json"]
    record = json.loads(home.run(*ask, "--ctx-size", "512", "--trace", str(trace)).stdout)
    confidence = record["confidence"]
    assert confidence["calibrated"]
    assert 0 < confidence["lo"] < confidence["p"] < confidence["hi"] < 1
    assert confidence["score"] is None
    assert record["calibration"]["name"] == "chain+probe"
    assert record["calibration"]["file"] == str(artefact)
    assert record["warnings"] == []
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    estimates = {e.get("mode"): e["estimate"] for e in events if e["kind"] == "prompt_read"}
    assert set(estimates) == {None, "program"}  # auto: the calibration knows both, and adaptive weighs them
    assert record["search"]["modes"] == ["prose", "program"]
    assert all(estimate["calibrated"] for estimate in estimates.values())
    prose, program = estimates[None], estimates["program"]
    assert 0 < prose["lower"] < prose["median"] < prose["upper"] < 1
    assert program["median"] < 0.1  # this model writes none
    assert all(e["estimate"]["calibrated"] for e in events if e["kind"] == "step_scored")
    none = json.loads(home.run(*ask, "--calibration", "none").stdout)
    assert (none["confidence"]["p"], none["confidence"]["calibrated"], none["calibration"]) == (
        None,
        False,
        None,
    )
    assert none["confidence"]["score"] > 0
    assert none["answer"] in ("18", "20")


def test_another_generators_calibration_is_never_applied_unasked(
    home: Home, artefact: Path, tmp_path: Path
) -> None:
    chain = {**tiny.CHAIN, tiny.MULTIPLY: {tiny.RIGHT: 3.0, tiny.WRONG: 1.0}}
    other = tiny.write_chain(tmp_path / "chain.gguf", chain)  # the same name is not the same model
    ask = ["ask", "-g", str(other), "What is 7 * 2?", "--samples", "2", "--seed", "1", "--json"]
    ask += ["--ctx-size", "512"]
    auto = json.loads(home.run(*ask).stdout)
    assert (auto["calibration"]["level"], auto["confidence"]["calibrated"], auto["warnings"]) == (
        "portable",
        True,
        [],
    )
    trace = tmp_path / "t.jsonl"
    forced = home.run(*ask, "--calibration", str(artefact), "--trace", str(trace))
    record = json.loads(forced.stdout)
    assert record["confidence"]["p"] is not None
    assert len(record["warnings"]) == 1
    assert "another generator file" in record["warnings"][0]
    warned = [e for e in map(json.loads, trace.read_text().splitlines()) if e["kind"] == "warned"]
    assert [e["code"] for e in warned] == ["calibration-other-model"]
    assert "another generator file" in forced.stderr


def save_for(model_path: Path, path: Path, sampling: Mapping[str, int | float]) -> None:
    """Write a calibration for a model, of the domain of 80 questions: even odds, whatever the states are."""
    model = LlamaModel(model_path)
    context = LlamaContext(model, 512, 1, 2, AbortFlag(), states=True)
    chat, cache = ChatFormat(model, PROMPTS["prose"]), PrefixCache(1 << 28)
    asked = [chat.prompt(f"What is {n} * 2?") for n in range(10, 90)]
    try:
        readings = [read_prompt(context, cache, 0, chat.head, prompt).reading for prompt in asked]
        domain, prompt = Domain.fit(np.stack([r.last for r in readings if r is not None])), chat.sha256()
    finally:
        context.close()
        model.close()
    stages = dict.fromkeys(STAGES_OF["prose"], HeadModel.constant(0.5, "beta"))
    answer, profile = fitted().calibration.answer, PROFILES["prose"]
    sha256 = hashlib.sha256(model_path.read_bytes()).hexdigest()
    fingerprint = Fingerprint(sha256, "", "probe", prompt, sampling, 512)
    card = Card("odd+probe", fingerprint, "beta", ("x",), (), 4, 2, 0, {}, fitted_report())
    calibration = Calibration(stages, answer, {"prose": domain}, {"prose": profile})
    save_artefact(Artefact(calibration, card), path)


@pytest.mark.slow
def test_the_sampler_is_that_of_the_calibration_unless_told(
    home: Home, random_gguf: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"warm{SUFFIX}"
    save_for(random_gguf, path, {"temperature": 0.9, "top_k": 40, "top_p": 0.8, "max_tokens": 768})

    def asked(*args: str) -> tuple[dict[str, float], list[str]]:
        usual = [
            "--samples",
            "1",
            "--ctx-size",
            "512",
            "--budget",
            "20",
            "--calibration",
            str(path),
            "--json",
        ]
        done = home.run("ask", "-g", str(random_gguf), "What is 42 * 2?", *usual, *args)
        record = json.loads(done.stdout)
        return record["sampling"], [text for text in record["warnings"] if "sampler" in text]

    of_it, warned = asked()
    assert (of_it["temperature"], of_it["top_p"], warned) == (0.9, 0.8, [])
    told, warned = asked("--temperature", "0.3")
    assert (told["temperature"], told["top_p"]) == (0.3, 0.8)
    assert "temperature 0.3 instead of 0.9" in warned[0]


@pytest.mark.slow
def test_an_interrupted_fit_writes_nothing_and_the_same_command_goes_on(
    home: Home, artefact: Path, tmp_path: Path
) -> None:
    again = replace(home, folder=tmp_path)
    command = [sys.executable, "-m", "adascale", *home.fit_args()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=again.env, text=True, **pipes) as process:  # type: ignore[call-overload]
        wait_until(lambda: again.kept() >= ROWS * 5 or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    said = re.search(rf"(\d+) of {QUESTIONS} questions are kept; the same command continues", err)
    assert said is not None, err
    assert 5 <= int(said[1]) < QUESTIONS
    assert not again.shelf.exists()
    last = again.run(*again.fit_args())
    assert f"generating solutions of {QUESTIONS} questions ({said[1]} are here already)" in last.stderr
    assert (again.shelf / artefact.name).read_bytes() == artefact.read_bytes()


def test_an_interrupt_while_solutions_are_scored_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = [Problem(str(n), "?") for n in range(3)]
    rollouts = Mock(spec=SessionRollouts, session=Mock(), problems=problems)
    rollouts.unscored.side_effect = [problems, problems[1:]]
    rollouts.score.side_effect = DecodeAbortedError("stopped")
    with pytest.raises(typer.Exit) as caught:
        score_missing(rollouts, TerminalOptions(quiet=1))
    assert caught.value.exit_code == 130
    assert "1 of 3 questions are scored; the same command continues" in capsys.readouterr().err


def test_questions_with_options_of_which_none_could_be_searched_are_too_few() -> None:
    problems = [Problem(str(n), "?") for n in range(3)]
    failed = [DrawnOptions(problem, None, error="the question is too long") for problem in problems]
    draws = Mock(spec=OptionDraws, session=Mock(), driver=Mock(), problems=problems)
    draws.draw.return_value = failed
    with pytest.raises(UsageError, match="0 questions are too few"):
        draw_options(draws, TerminalOptions(quiet=1), fewest=1)


def test_a_fit_without_data_takes_the_questions_that_come_with_it() -> None:
    whole = choose_problems(FitOptions().sized().run, FEWEST, built_in=True)
    quick = choose_problems(FitOptions(quick=True).sized().run, FEWEST, built_in=True)
    assert (len(whole), len(quick)) == (300, 60)
    assert quick == whole[:60]  # what was drawn for a quick one is used again
    assert sum("renumbered" in problem.id for problem in quick) == 40
    assert len({problem.question for problem in whole}) == 300
    own = FitOptions(quick=True, run=CalibrationOptions(questions=25)).sized().run
    assert len(choose_problems(own, FEWEST, built_in=True)) == 25


WRONG = [
    (["check"], 2, "no questions given", "--data questions.jsonl"),
    (["fit", "-d", "FEW"], 2, "5 questions are too few", "hint: another file in addition"),
    (["fit", "-d", "GOOD", "--prm", "none"], 2, "nothing to calibrate", "--prm probe"),
    (["fit", "-d", "FEW", "-d", "FEW"], 2, "5 questions are too few", "20 or more are needed"),
    (["fit", "-d", "GOOD", "-o", "GOOD"], 2, "error[output-is-input]", "-o mine.calibration.safetensors"),
    (["fit", "-d", "GOOD", "-d", "TASKS"], 2, "the records are of several kinds", "once for each kind"),
    (["fit", "-d", "TASKS", "--prm", "judge=self"], 2, "a PRM reads steps of prose", "--prm probe"),
    (["fit", "-d", "TASKS", "--programs", "0"], 2, "code tasks are calibrated on programs", "--programs 4"),
    (["fit", "-d", "TASKS", "--samples", "8"], 2, "--samples has no effect", "leave out --samples"),
    (["fit", "-d", "CHOICES", "--method", "quantile"], 2, "--method has no effect", "leave out --method"),
    (["check", "-d", "CHOICES", "--programs", "2"], 2, "--programs has no effect", "leave out --programs"),
    (["show", "nosuch"], 4, "error[no-calibration]", "adascale calibrate list"),
]


@pytest.mark.parametrize(("args", "code", "words", "hint"), WRONG, ids=[" ".join(row[0]) for row in WRONG])
def test_wrong_usage_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, args: list[str], code: int, words: str, hint: str
) -> None:
    files = {
        "FEW": write_questions(tmp_path / "few.jsonl", range(5)),
        "GOOD": write_questions(tmp_path / "good.jsonl", range(25)),
        "TASKS": tmp_path / "tasks.jsonl",
        "CHOICES": tmp_path / "choices.jsonl",
    }
    task = {"tests": "assert f(2) == 4", "hidden": "assert f(3) == 9"}
    rows = [json.dumps({"question": f"Square n, way {n}.", **task}) for n in range(25)]
    files["TASKS"].write_text("\n".join(rows))
    choice = {"options": ["red", "green"], "answer": "red"}
    rows = [json.dumps({"question": f"Pick {n}.", **choice}) for n in range(25)]
    files["CHOICES"].write_text("\n".join(rows))
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path, tmp_path, files["GOOD"])
    done = home.run("calibrate", *(str(files.get(arg, arg)) for arg in args))
    assert (done.returncode, done.stdout) == (code, "")
    told = " ".join(done.stderr.split())
    assert words in told
    assert hint in told


def test_no_calibration_is_told_before_anything_is_drawn(home: Home, artefact: Path, tmp_path: Path) -> None:
    bare = replace(home, folder=tmp_path)
    tasks = tmp_path / "tasks.jsonl"
    tests = {"tests": "assert f(2) == 4", "hidden": ["assert f(3) == 9"]}
    tasks.write_text(json.dumps({"question": "Square n.", **tests}) + "\n")
    done = bare.run("calibrate", "check", "-g", str(home.model), "-d", str(tasks), "--ctx-size", "512")
    assert (done.returncode, done.stdout, bare.kept()) == (4, "", 0)
    assert "error[no-calibration]" in done.stderr
    assert f"hint: adascale calibrate fit -m {home.model} --data tasks.jsonl" in done.stderr
    check = ["calibrate", "check", "-g", str(home.model), "-d", str(tasks), "--ctx-size", "512"]
    other = bare.run(*check, "--calibration", str(artefact))
    assert (other.returncode, other.stdout, bare.kept()) == (4, "", 0)
    assert "is for the kind value, this is a code\nhint: --calibration auto" in other.stderr
    missing = bare.run("ask", "Hm?", "-g", str(home.model), "--calibration", "nowhere.safetensors")
    assert missing.returncode == 4
    assert "there is no calibration at nowhere.safetensors" in missing.stderr
