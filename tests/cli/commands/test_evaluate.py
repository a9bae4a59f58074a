"""``adascale eval`` as a user runs it, on a tiny model: the same report whether it was killed or not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from commands import Home, write_questions

from adascale.cli.commands.evaluate import warnings_of
from adascale.engine.evaluation.evaluate import parse_contestants
from adascale.engine.request import Conditions
from adascale.engine.search.events import ModelDescription
from adascale.engine.types import Notice

NAMES = "greedy,vote:2,vote:6,best-of-n:4+n,beam+k,adaptive"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, chain_gguf: Path) -> Home:
    folder = tmp_path_factory.mktemp("home")
    return Home(folder, chain_gguf, write_questions(folder / "questions.jsonl", range(12)))


def args(home: Home, *more: str) -> list[str]:
    # The measured width may be another in the second run.
    options = ["-o", "ctx_size", "512", "-o", "width", "4", "--strategies"]
    return ["eval", str(home.data), "-m", str(home.model), *options, NAMES, *more]


@pytest.fixture(scope="module")
def report(home: Home) -> subprocess.CompletedProcess[str]:
    return home.run(*args(home, "--json"))


def without_seconds(text: str) -> object:
    """A report but for seconds, which come from a curve that is measured."""

    def stripped(value: object) -> object:
        if isinstance(value, dict):
            return {k: stripped(v) for k, v in value.items() if "seconds" not in k}
        return [stripped(v) for v in value] if isinstance(value, list) else value

    return stripped(json.loads(text))


def test_the_report_has_every_strategy_and_every_pair(report: subprocess.CompletedProcess[str]) -> None:
    assert report.returncode == 0, report.stderr
    found = json.loads(report.stdout)
    names = NAMES.split(",")
    assert (found["schema"], found["data"]) == ("adascale.eval/1", ["questions.jsonl"])
    assert [(each["name"], each["questions"]) for each in found["strategies"]] == [
        (name, 12) for name in names
    ]
    assert len(found["pairs"]) == len(names) * (len(names) - 1) // 2
    assert found["strategies"][3]["settings"].items() > {"samples": 4, "adapt": "n"}.items()
    assert found["generator"]["sha256"]


def test_a_second_run_draws_nothing_and_reports_the_same(
    home: Home, report: subprocess.CompletedProcess[str]
) -> None:
    kept = home.kept("draws")
    again = home.run(*args(home, "--json"))
    assert without_seconds(again.stdout) == without_seconds(report.stdout)
    assert home.kept("draws") == kept


VALUE = '{"question": "1 + 1?", "answer": 2}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"question": "why?"}\n', 'nothing in its field "answer"'),
        (VALUE + '{"question": "f", "tests": "assert f(2)", "hidden": "assert f(3)"}', "once for each kind"),
        (VALUE, "hint: --strategies adaptive"),
    ],
)
def test_what_cannot_be_compared_is_refused(home: Home, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text(text)
    done = home.run("eval", str(path), "-m", str(home.model), "--strategies", "greedy,passing:8")
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(("strategies", "warned"), [("vote:2,adaptive", 0), ("vote:2,vote:2/program", 1)])
def test_a_calibration_that_knows_no_programs_is_told_once(strategies: str, warned: int) -> None:
    prose = ModelDescription(calibration={"name": "of prose", "modes": ["prose"]})
    conditions = Conditions(prose, (Notice("other", "another warning"),))

    found = [notice.code for notice in warnings_of(conditions, parse_contestants(strategies))]

    assert found == ["other", *["uncalibrated-programs"] * warned]
