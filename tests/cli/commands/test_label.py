"""``adascale label``: a table in, the same with labels out, whatever stops it and however often it is run."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from commands import Home
from scripted import scripted_step
from scripted_server import EchoPolicy, served

ADDED = ["label", "probability", "band", "runner_up"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_random(tmp_path_factory.mktemp("random") / "random.gguf", context=4096)


@pytest.fixture
def home(tmp_path: Path, model: Path) -> Home:
    return Home(tmp_path, model, tmp_path / "in.csv")


def words(home: Home, *more: str) -> list[str]:
    usual = ["label", str(home.data), "--text", "body", "--labels", "card,card lost,other"]
    return [*usual, "-m", str(home.model), "--output", str(home.folder / "out.csv"), *more]


def rows(path: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""))]


def test_all_columns_and_rows_come_back_in_order_and_are_read_once(home: Home) -> None:
    home.data.write_text('\ufeffid,body,team\n1,"Where is\nmy card?",card\n2,,\n3,Hello,other\n4,Hello,\n')
    first = home.run(
        *words(home, "--known", "team", "--at-least", "95", "--review", str(home.folder / "r.csv"))
    )
    assert first.returncode == 0, first.stderr
    done = rows(home.folder / "out.csv")
    assert [*done[0]] == ["id", "body", "team", *ADDED]
    assert [row["id"] + row["body"] for row in done] == ["1Where is\nmy card?", "2", "3Hello", "4Hello"]
    assert (done[1]["label"], done[1]["band"]) == ("", "not read")
    assert [done[2][name] for name in ADDED] == [done[3][name] for name in ADDED]
    assert "59 known rows" in first.stderr, "two known rows promise nothing"
    assert rows(home.folder / "r.csv")[0]["row"] == "2"
    (home.folder / "r.csv").write_text("row,body,label\n2,,refund\n")
    second = home.run(*words(home, "--merge", str(home.folder / "r.csv")))
    assert "Loading" in first.stderr
    assert "Loading" not in second.stderr
    merged = rows(home.folder / "out.csv")
    assert [merged[1][name] for name in ADDED] == ["refund", "", "by a person", ""]
    assert [merged[n] for n in (0, 2, 3)] == [done[n] for n in (0, 2, 3)]


def test_json_lines_keep_their_form_and_several_labels_are_listed(home: Home) -> None:
    home.data.write_text('{"body": "Hi", "n": [1]}\n{"body": "Ho"}\n')
    done = home.run(*words(home, "--many", "--limit", "1", "--output", "-"))
    [record] = map(json.loads, done.stdout.splitlines())
    assert record["n"] == [1]
    assert set(record["label"].split("; ")) <= {"", "card", "card lost", "other"}
    assert record["probability"] >= 0.5


def test_a_server_labels_rows(home: Home) -> None:
    home.data.write_text("body\nHi\nHo\nHu\n")
    policy = EchoPolicy(
        lambda prefix, _: scripted_step("C" if "Hu" in prefix.problem.question else "A", "stop")
    )
    with served(policy=policy) as running:
        assert home.run(*words(home, "-m", running.url)).returncode == 0
    assert [row["label"] for row in rows(home.folder / "out.csv")] == ["card", "card", "other"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_after_twenty_kills_the_output_is_that_of_one_run(home: Home) -> None:
    asked = [f"{n},Message {n} of {n % 700}\n" for n in range(3000)]
    home.data.write_text("id,body\n" + "".join(asked))
    one = Home(home.folder / "one", home.model, home.data)
    one.folder.mkdir()
    one.run(*words(one))
    for n in range(20):
        with subprocess.Popen(
            [sys.executable, "-m", "adascale", *words(home)], env=home.env, stderr=subprocess.DEVNULL
        ) as process:
            kept = store(home)
            end = time.monotonic() + 60
            while store(home) <= kept and process.poll() is None:
                assert time.monotonic() < end
                time.sleep(0.001 * n)
            process.kill()
    assert not (home.folder / "out.csv").exists(), "the kills came too late"
    assert home.run(*words(home)).returncode == 0
    whole, pieces = rows(one.folder / "out.csv"), rows(home.folder / "out.csv")
    assert [(row["id"], row["body"]) for row in pieces] == [(row["id"], row["body"]) for row in whole]
    for piece, other in zip(pieces, whole, strict=True):  # read beside other rows
        assert float(piece["probability"]) == pytest.approx(float(other["probability"]), abs=2e-3)


def store(home: Home) -> int:
    files = (home.folder / "cache").glob("adascale/labels/*.jsonl")
    return sum(path.stat().st_size for path in files)
