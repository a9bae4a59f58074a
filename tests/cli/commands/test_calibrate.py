"""``adascale calibrate`` as a user runs it, on tiny models: fitted, shown, used, killed, resumed."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Home, write_questions

from adascale.cli.commands.calibrate import choose_problems
from adascale.models.calibration.artefact import (
    SUFFIX,
    load_artefact,
    save_artefact,
)

QUESTIONS = 24


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


def test_fit_writes_an_artefact_and_prints_its_figures(
    home: Home, first: subprocess.CompletedProcess[str], artefact: Path
) -> None:
    assert first.returncode == 0, first.stderr
    card = load_artefact(artefact).card
    assert (card.name, len(card.questions)) == ("chain+probe", QUESTIONS)
    assert (card.samples, card.programs) == (3, 3)
    assert (card.seed, card.data) == (0, ("train.jsonl",))
    assert card.fingerprint.generator == hashlib.sha256(home.model.read_bytes()).hexdigest()
    assert home.kept() == QUESTIONS
    [_, row] = first.stdout.splitlines()
    assert row.split()[:3] == ["chain+probe", "value", str(QUESTIONS)]
    assert set(card.held_out) >= {"question", "step", "finished", "answer"}
    assert f"generating solutions of {QUESTIONS} questions, 6 each: about" in first.stderr
    assert f"wrote ~/{artefact.relative_to(home.folder)}" in first.stderr
    assert str(home.folder) not in artefact.read_bytes().decode("latin-1")


def test_a_calibration_of_another_width_is_refused(home: Home, artefact: Path, random_gguf: Path) -> None:
    ask = ["ask", "What is twice 7?", "-o", "ctx_size", "512", "--calibration", str(artefact), "-m"]
    wide = home.run(*ask, str(random_gguf))
    assert (wide.returncode, wide.stdout) == (4, "")
    assert "this generator's have 64" in wide.stderr


def test_a_fit_without_data_takes_the_questions_that_come_with_it() -> None:
    whole, few = (choose_problems([], count, 0) for count in (None, 60))
    assert len({problem.question for problem in whole}) == 300
    assert few == whole[:60]  # what was drawn for a small fit is used again
    assert sum("renumbered" in problem.id for problem in few) == 40


def test_what_is_on_the_shelf_is_listed(home: Home, artefact: Path) -> None:
    listed = home.run("calibrate", "list").stdout.splitlines()
    [line] = [line for line in listed if line.startswith("chain+probe ")]
    assert line.split()[1:3] == ["value", str(QUESTIONS)]
    assert line.endswith("train.jsonl")
    cards = map(json.loads, home.run("calibrate", "list", "--json").stdout.splitlines())
    [card] = [card for card in cards if card["name"] == "chain+probe"]
    assert (card["questions"], card["file"], card["level"]) == (QUESTIONS, str(artefact), "fitted")
    assert card["modes"] == ["prose", "program"]


def test_a_torn_file_on_the_shelf_is_told_and_hides_no_other(
    home: Home, artefact: Path, tmp_path: Path
) -> None:
    moved = replace(home, folder=tmp_path)
    moved.shelf.mkdir(parents=True)
    (moved.shelf / artefact.name).write_bytes(artefact.read_bytes())
    (moved.shelf / f"a{SUFFIX}").write_bytes(artefact.read_bytes()[:1000])
    done = moved.run(*ask(home))
    assert "warning[calibration-unreadable]" in done.stderr
    assert json.loads(done.stdout)["calibration"]["name"] == "chain+probe"
    assert "cannot be read" in moved.run("doctor", "--offline", "-m", str(home.model)).stdout
    assert f"a{SUFFIX} cannot be read" in " ".join(moved.run("calibrate", "list").stderr.split())


def ask(home: Home, *more: str) -> list[str]:
    usual = ["-o", "ctx_size", "512", "-o", "samples", "4", "--seed", "1", "--json"]
    return ["ask", "-m", str(home.model), "What is twice 7?", *usual, *more]


def test_ask_gives_a_probability_and_says_where_it_is_from(home: Home, artefact: Path) -> None:
    record = json.loads(home.run(*ask(home)).stdout)
    confidence = record["confidence"]
    assert confidence["calibrated"]
    assert 0 < confidence["lo"] < confidence["p"] < confidence["hi"] < 1
    assert record["calibration"]["file"] == str(artefact)
    assert record["warnings"] == []
    assert record["search"]["modes"] == ["prose", "program"]


def test_the_sampler_is_that_of_the_calibration(home: Home, artefact: Path, tmp_path: Path) -> None:
    whole, path = load_artefact(artefact), tmp_path / f"warm{SUFFIX}"
    fingerprint = replace(whole.card.fingerprint, sampling={"temperature": 0.9, "top_p": 0.8})
    save_artefact(replace(whole, card=replace(whole.card, fingerprint=fingerprint)), path)
    record = json.loads(home.run(*ask(home, "--calibration", str(path))).stdout)
    assert (record["sampling"]["temperature"], record["sampling"]["top_p"]) == (0.9, 0.8)


WRONG = [
    (["fit", "-d", "FEW", "-d", "FEW"], 2, "5 questions are too few", "hint: another file in addition"),
    (["fit", "-d", "GOOD", "--prm", "none"], 2, "nothing to calibrate", "--prm probe"),
    (["fit", "-d", "CHOICES"], 2, "nothing is fitted for questions of the kind choice", "a number"),
]


@pytest.mark.parametrize(("args", "code", "words", "hint"), WRONG, ids=[" ".join(row[0]) for row in WRONG])
def test_wrong_usage_is_told_with_what_to_do(
    tmp_path: Path, args: list[str], code: int, words: str, hint: str
) -> None:
    files = {
        "FEW": write_questions(tmp_path / "few.jsonl", range(5)),
        "GOOD": write_questions(tmp_path / "good.jsonl", range(25)),
        "CHOICES": tmp_path / "choices.jsonl",
    }
    choice = {"options": ["red", "green"], "answer": "red"}
    files["CHOICES"].write_text(
        "\n".join(json.dumps({"question": f"Pick {i}.", **choice}) for i in range(25))
    )
    home = Home(tmp_path, tmp_path, files["GOOD"])
    done = home.run("calibrate", *(str(files.get(arg, arg)) for arg in args))
    assert (done.returncode, done.stdout) == (code, "")
    told = " ".join(done.stderr.split())
    assert words in told
    assert hint in told


def test_a_calibration_for_another_kind_of_problem_is_told_and_not_used(
    home: Home, artefact: Path, tmp_path: Path
) -> None:
    whole, of_code = load_artefact(artefact), tmp_path / f"code{SUFFIX}"
    fingerprint = replace(whole.card.fingerprint, kind="code")
    save_artefact(replace(whole, card=replace(whole.card, fingerprint=fingerprint)), of_code)
    record = json.loads(home.run(*ask(home, "--calibration", str(of_code))).stdout)
    assert any("is for the kind code, this is a value" in text for text in record["warnings"])
    assert not record["confidence"]["calibrated"]
