import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import invoked, run_here
from terminal import environment

from adascale.cli.commands import batch
from adascale.cli.options.settings import KEYS, ROWS
from adascale.engine.errors import UsageError
from adascale.engine.request import SearchRequest


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "folder" / "config.toml"
    monkeypatch.setenv("ADASCALE_CONFIG", str(path))
    return path


Read = Callable[..., SearchRequest]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """How a batch with these options would search."""
    (tmp_path / "q.txt").write_text("What is 1 + 1?\n", encoding="utf-8")
    found: list[SearchRequest] = []
    monkeypatch.setattr(batch._Run, "ask_all", lambda run, *_: found.append(run.search))

    def read(*args: str) -> SearchRequest:
        invoked("batch", str(tmp_path / "q.txt"), *args)
        return found.pop()

    return read


def row(key: str) -> tuple[object, str]:
    shown = json.loads(invoked("config", "--json")[0])
    [found] = [row for row in shown["settings"] if row["key"] == key]
    return found["value"], found["origin"]


def test_a_model_without_a_known_name_is_not_kept(config: Path) -> None:
    done = run_here(environment(ADASCALE_CONFIG=str(config)), "config", "set", "model", "qwen3.5")
    assert (done.returncode, config.exists()) == (4, False)
    assert "did you mean qwen3.5-4b?" in done.stderr


def test_flag_then_environment_then_file_then_default(
    monkeypatch: pytest.MonkeyPatch, config: Path, read: Read
) -> None:
    assert read().strategy_for().name == "adaptive"
    assert row("strategy") == ("adaptive", "default")

    invoked("config", "set", "strategy", "vote")
    assert read().strategy == "vote"
    assert row("strategy") == ("vote", f"file ({config})")

    monkeypatch.setenv("ADASCALE_STRATEGY", "greedy")
    assert read().strategy == "greedy"
    assert row("strategy") == ("greedy", "environment (ADASCALE_STRATEGY)")
    assert (
        "ADASCALE_STRATEGY is set and comes before the file"
        in invoked("config", "set", "strategy", "vote")[1]
    )

    assert read("--strategy", "best-of-n").strategy == "best-of-n"


def test_a_name_of_o_is_a_key_of_the_file(config: Path, read: Read) -> None:
    invoked("config", "set", "samples", "5")
    assert read().strategy_for().at_most == 5
    assert read("-o", "samples", "3").strategy_for().at_most == 3
    config.write_text("samples = 0\n")
    done = run_here(environment(ADASCALE_CONFIG=str(config)), "batch", "q.txt")
    assert f"error[usage]: samples from the file ({config}) should be greater" in done.stderr


def test_values_are_kept_as_what_they_are_and_files_by_their_whole_path(config: Path) -> None:
    for key, value in (
        ("threads", "2"),
        ("yes", "true"),
        ("time-limit", "4m"),
        ("api-key-file", "key.txt"),
        ("model", 'a "b" \\c.gguf'),
        ("prm", "self"),
    ):
        invoked("config", "set", key, value)

    kept = tomllib.loads(config.read_text(encoding="utf-8"))
    model, key = (str(Path(name).absolute()) for name in ('a "b" \\c.gguf', "key.txt"))
    assert kept == {
        "threads": 2,
        "yes": True,
        "time-limit": "4m",
        "api-key-file": key,
        "model": model,
        "prm": "self",
    }
    assert row("yes")[0] is True


def test_a_setting_is_taken_out_of_the_file(config: Path) -> None:
    config.parent.mkdir()
    config.write_text("# mine\nthreads = 1 # one\neffort = 'low'\ngenerator = 'x'\n", encoding="utf-8")

    for key in ("threads", "generator"):
        invoked("config", "unset", key)

    assert config.read_text(encoding="utf-8") == "# mine\neffort = 'low'\n"
    with pytest.raises(UsageError, match="threads is not set"):
        invoked("config", "unset", "threads")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("threads", "0", "threads should be greater"), ("ctx-size", "9", "ctx-size is no setting")],
)
def test_a_wrong_value_is_told_before_it_is_kept(config: Path, key: str, value: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        invoked("config", "set", key, value)
    assert not config.exists()


def test_every_setting_is_listed_with_its_help_and_where_its_value_is_from(config: Path) -> None:
    invoked("config", "set", "ctx_size", "4096")
    assert invoked("config")[0] == f"ctx_size  4096  file ({config})\n"
    shown = invoked("config", "--all")[0]
    assert all(f"{key} " in shown.replace("\n", " ").replace("/", " ") for key in KEYS)
    assert all(row.help in shown for row in ROWS.values())
    assert f"-o ctx_size tokens    4096, from file ({config})\n" in shown


def test_an_unknown_key_warns_and_is_ignored(config: Path, read: Read) -> None:
    config.parent.mkdir()
    config.write_text("stratgy = 'vote'\n", encoding="utf-8")
    stderr = invoked("runs")[1]
    assert "warning[unknown-setting]" in stderr
    assert "did you mean strategy?" in stderr
    assert read().strategy_for().name == "adaptive"


@pytest.mark.parametrize("text", ["strategy = ", "strategy = ['vote']", "\xff", "a=" + "[" * 100_000])
def test_a_broken_file_is_told_and_left_alone(config: Path, text: str) -> None:
    config.parent.mkdir()
    config.write_bytes(text.encode("latin-1"))

    for command in (["runs", "list"], ["config", "set", "strategy", "vote"], ["config"]):
        with pytest.raises(UsageError, match=r"cannot read .*config\.toml") as caught:
            invoked(*command)
        assert caught.value.slug == "bad-config"
    assert config.read_bytes() == text.encode("latin-1")
    assert invoked("config", "path")[0].strip() == str(config)
    assert run_here(environment(ADASCALE_CONFIG=str(config)), "ask", "-h").returncode == 0
