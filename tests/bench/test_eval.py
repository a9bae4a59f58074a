"""``bench.eval`` on a tiny model: the same report whether it was stopped or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Home, write_questions
from typer.testing import CliRunner

from adascale.engine.errors import UsageError
from bench.eval import app

NAMES = "greedy,vote:2,vote:6,best-of-n:4+n,beam+k,adaptive"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, chain_gguf: Path) -> Home:
    folder = tmp_path_factory.mktemp("home")
    return Home(folder, chain_gguf, write_questions(folder / "questions.jsonl", range(12)))


def run(home: Home, data: Path, strategies: str, *options: str) -> str:
    words = [str(data), "-m", str(home.model), "--strategies", strategies, *options]
    done = CliRunner().invoke(app, words, env=home.env, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def compared(home: Home) -> str:
    # The measured width may be another in the second run.
    return run(home, home.data, NAMES, "-o", "ctx_size", "512", "-o", "width", "4", "--json")


@pytest.fixture(scope="module")
def report(home: Home) -> str:
    return compared(home)


def without_seconds(text: str) -> object:
    """A report but for seconds, which come from a curve that is measured."""

    def stripped(value: object) -> object:
        if isinstance(value, dict):
            return {k: stripped(v) for k, v in value.items() if "seconds" not in k}
        return [stripped(v) for v in value] if isinstance(value, list) else value

    return stripped(json.loads(text))


def test_the_report_has_every_strategy_and_every_pair(report: str) -> None:
    found, names = json.loads(report), NAMES.split(",")
    assert (found["schema"], found["data"]) == ("adascale.eval/1", ["questions.jsonl"])
    assert [(each["name"], each["questions"]) for each in found["strategies"]] == [
        (name, 12) for name in names
    ]
    assert len(found["pairs"]) == len(names) * (len(names) - 1) // 2
    assert found["strategies"][3]["settings"].items() > {"samples": 4, "adapt": "n"}.items()
    assert found["generator"]["sha256"]


def test_a_second_run_draws_nothing_and_reports_the_same(home: Home, report: str) -> None:
    kept = home.kept("draws")
    assert kept
    assert without_seconds(compared(home)) == without_seconds(report)
    assert home.kept("draws") == kept


VALUE = '{"question": "1 + 1?", "answer": 2}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"question": "why?"}\n', 'nothing in its field "answer"'),
        (VALUE + '{"question": "f", "tests": "assert f(2)", "hidden": "assert f(3)"}', "once for each kind"),
        (VALUE, "these are questions"),
    ],
)
def test_what_cannot_be_compared_is_refused(home: Home, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        run(home, path, "greedy,passing:8")
    assert said in f"{refused.value.message} {refused.value.hint}"
