"""Every flag is declared once, fits its field, and comes back as the object that the program works with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from adascale.cli.options.by_command import (
    OPTION_TYPES,
    OVERRIDES,
    AskOptions,
    BatchOptions,
    CalibrationOptions,
    ChatOptions,
    EvalOptions,
    FitOptions,
)
from adascale.cli.options.flags import FLAGS
from adascale.cli.options.flatten import setting_keys, settings, with_options
from adascale.cli.options.parts import session_for
from adascale.engine.errors import UsageError
from adascale.engine.strategies import EFFORTS, Adaptive
from adascale.engine.types import Budget
from adascale.models.options import THINK_TOKENS, SamplingOverrides


def parsed(group: type[Any], *args: str) -> Any:
    """The options that a command with ``group`` gets."""
    taken: list[Any] = []
    app = typer.Typer()

    @app.command()
    @with_options(group)
    def command(*, options: Any) -> None:
        taken.append(options)

    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return taken[0]


def owners(options: Any, path: str = "") -> Iterator[tuple[type[Any], str, str]]:
    """Class, field and path of all that is in the options."""
    for field in fields(options):
        value, here = getattr(options, field.name), f"{path}{field.name}"
        if is_dataclass(value):
            yield from owners(value, f"{here}.")
        yield type(options), field.name, here


@pytest.mark.parametrize("command", OPTION_TYPES)
def test_nothing_typed_is_the_default(command: type[Any]) -> None:
    assert parsed(command) == command()


def test_every_flag_has_its_field() -> None:
    found = {(owner, name) for command in OPTION_TYPES for owner, name, _ in owners(command())}
    paths = {(command, path) for command in OPTION_TYPES for _, _, path in owners(command())}
    assert {(owner, name) for owner, flags in FLAGS.items() for name in flags} <= found
    assert {(command, path) for command, flags in OVERRIDES.items() for path in flags} <= paths


@pytest.mark.parametrize("name", ["-m", "--model", "-g", "--generator"])
@pytest.mark.parametrize("command", OPTION_TYPES)
def test_every_command_takes_the_model_by_each_of_its_names(command: type[Any], name: str) -> None:
    assert parsed(command, name, "a.gguf") == parsed(command, "--generator", "a.gguf") != command()


def test_a_flag_arrives_where_its_field_is() -> None:
    ask = parsed(
        AskOptions,
        "--budget",
        "8k",
        "--max-tokens",
        "99",
        "--temp",
        "0.7",
        "-ngl",
        "all",
        "-vv",
        "--seed",
        "3",
    )
    assert ask.search.budget == Budget(max_tokens=8000)
    assert ask.session.sampling == SamplingOverrides(temperature=0.7, max_tokens=99)
    assert (ask.session.gpu_layers, ask.view.terminal.verbose, ask.search.seed) == (-1, 2, 3)
    assert parsed(AskOptions, "-ngl", "auto").session.gpu_layers is None


@pytest.mark.parametrize(
    ("typed", "tokens"),
    [("off", 0), ("0", 0), ("on", THINK_TOKENS), ("auto", None), ("300", 300), ("2k", 2000), ("1.5k", 1500)],
)
def test_thinking_is_a_word_or_a_number(
    typed: str, tokens: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parsed(AskOptions, "--think", typed).session.think == tokens
    monkeypatch.setenv("ADASCALE_THINK", typed)
    assert parsed(AskOptions).session.think == tokens
    assert "think" in setting_keys()


@pytest.mark.parametrize("typed", ["maybe", "-1", "", "1.5.2", "1.5", "0k"])
def test_thinking_that_is_neither_is_refused(typed: str) -> None:
    with pytest.raises(UsageError, match="is not off, on, auto or a number of tokens"):
        parsed(AskOptions, "--think", typed)


@pytest.mark.parametrize("command", [AskOptions, BatchOptions])
def test_a_mode_is_typed_or_stands_in_the_environment(
    command: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parsed(command).search.make_strategy() == Adaptive()
    assert parsed(command, "--mode", "program").search.make_strategy() == Adaptive(modes=("program",))
    monkeypatch.setenv("ADASCALE_MODE", "program")
    assert parsed(command).search.mode == "program"
    assert "mode" in setting_keys()
    with pytest.raises(UsageError, match="trees of steps"):
        parsed(command, "--strategy", "beam").search.make_strategy()


@pytest.mark.parametrize("command", [AskOptions, ChatOptions, BatchOptions])
@pytest.mark.parametrize("name", ["passing", "agreement", "readings"])
def test_what_the_kind_of_a_question_chooses_is_no_option(command: type[Any], name: str) -> None:
    with pytest.raises(AssertionError, match="Invalid value for '--strategy'"):
        parsed(command, "--strategy", name)


def test_calls_and_json_have_strategies_of_their_own() -> None:
    search, chosen = parsed(BatchOptions).search, parsed(BatchOptions, "--strategy", "vote").search
    assert search.make_strategy("call") == EFFORTS["call"]["medium"]
    assert search.make_strategy("json") == EFFORTS["json"]["medium"]
    assert chosen.make_strategy("call").name == "vote"


@pytest.mark.parametrize("command", [AskOptions, EvalOptions])
def test_the_paper_samples_at_its_own_temperature_unless_another_is_given(command: type[Any]) -> None:
    def temperature(*args: str) -> float | None:
        options = parsed(command, *args)
        preset = options.preset if command is EvalOptions else options.search.preset
        return session_for(preset, options.session).sampling.temperature

    assert temperature("--paper") == 0.7
    assert temperature("--temperature", "1", "--paper") == 1.0
    assert temperature() is None


def test_what_a_command_always_does_is_no_flag() -> None:
    assert parsed(FitOptions).run.session.calibration == "none"
    with pytest.raises(AssertionError, match="No such option"):
        parsed(FitOptions, "--calibration", "auto")
    assert parsed(CalibrationOptions, "--calibration", "none").session.calibration == "none"


def test_the_keys_of_the_config_file_are_those_of_the_commands() -> None:
    assert settings().keys() == setting_keys() >= {"model", "prm"}
    assert settings()["seed"].default is None


def test_a_config_file_imports_no_other_command(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('effort = "high"\n')
    code = (
        "import sys; sys.argv = ['adascale', 'runs', 'path']\n"
        "from adascale.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('adascale.cli.commands.')))\n"
    )
    env = {**os.environ, "ADASCALE_CONFIG": str(tmp_path / "config.toml"), "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.splitlines()[-1] == "['adascale.cli.commands.runs']", done.stderr


NINES = "9" * 400


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--budget", NINES, f'--budget "{NINES[:40]}..." is not a number of tokens'),
        ("--time-limit", f"{NINES}s", f'--time-limit "{NINES[:40]}..." is not a time'),
        ("--gpu-layers", NINES, f'--gpu-layers "{NINES[:40]}..." is not auto, all or a number'),
    ],
)
def test_a_number_of_many_digits_is_refused(option: str, value: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(AskOptions, option, value)
    assert caught.value.message == said


@pytest.mark.parametrize(("group", "option"), [(AskOptions, "--seed"), (BatchOptions, "--limit")])
def test_a_number_that_a_file_cannot_hold_is_refused(group: type[Any], option: str) -> None:
    parsed(group, option, str(2**63 - 1))
    with pytest.raises(AssertionError, match="Invalid value for"):
        parsed(group, option, str(2**63))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--strategy", "greedy", "--samples", "64"), "greedy has no `samples`"),
        (("--beam-width", "9", "--branching", "2"), "adaptive has no `width` and no `branching`"),
        (("--strategy", "vote", "--stop-at", ".5"), "vote has no `stop_at`"),
    ],
)
def test_a_number_that_the_strategy_does_not_have_is_refused(args: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}$"):
        parsed(AskOptions, *args).search.make_strategy()
