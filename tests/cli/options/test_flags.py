"""Flags and names of ``-o`` come back as the object that the program works with."""

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
    session_for,
)
from adascale.cli.options.declare import FLAGS
from adascale.cli.options.settings import Command, keys, settings_of, with_options
from adascale.engine.errors import UsageError
from adascale.engine.strategies import EFFORTS, Adaptive
from adascale.engine.types import Budget
from adascale.models.options import THINK_TOKENS, FallbackOptions, SamplingOverrides


def parsed(group: type[Any], *args: str) -> Any:
    """The options that a command with ``group`` gets."""
    taken: list[Any] = []
    app = typer.Typer(rich_markup_mode=None)

    @app.command(cls=Command)
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


@pytest.mark.parametrize("command", OPTION_TYPES)
def test_no_two_settings_of_a_command_have_one_name(command: type[Any]) -> None:
    found = [setting.key for setting in settings_of(command)]
    assert len(found) == len(set(found))


def test_every_declaration_has_its_field() -> None:
    found = {(owner, name) for command in OPTION_TYPES for owner, name, _ in owners(command())}
    paths = {(command, path) for command in OPTION_TYPES for _, _, path in owners(command())}
    assert {(owner, name) for owner, flags in FLAGS.items() for name in flags} <= found
    assert {(command, path) for command, flags in OVERRIDES.items() for path in flags} <= paths


def test_what_is_typed_arrives_where_its_field_is() -> None:
    typed = "-m a.gguf --time-limit 2m -vv --seed 3 -o budget 8000 -o max_tokens 99 -o temperature 0.7"
    ask = parsed(AskOptions, *typed.split(), "-o", "gpu_layers", "all", "-o", "fallback_below", ".5")
    assert ask.search.budget == Budget(max_tokens=8000, max_seconds=120.0)
    assert ask.session.sampling == SamplingOverrides(temperature=0.7, max_tokens=99)
    assert (ask.session.generator, ask.session.gpu_layers) == ("a.gguf", -1)
    assert (ask.view.terminal.verbose, ask.search.seed) == (2, 3)
    assert ask.fallback == FallbackOptions(below=0.5)
    assert (
        parsed(AskOptions, "-o", "gpu_layers", "all", "-o", "gpu_layers", "auto").session.gpu_layers is None
    )


def test_every_name_of_o_takes_its_default_and_can_be_set_by_a_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [each for each in settings_of(AskOptions) if not each.is_flag and each.default is not None]
    assert {"color", "force", "fallback_below"} <= {each.key for each in found}
    words = [word for each in found for word in ("-o", each.key, str(each.default))]
    assert parsed(AskOptions, *words) == AskOptions()
    for each in found:
        assert keys()[each.key].variable == f"ADASCALE_{each.key.upper()}"
    monkeypatch.setenv("ADASCALE_SAMPLES", "5")
    assert parsed(AskOptions).search.preset.overrides.samples == 5
    assert parsed(AskOptions, "-o", "samples", "6").search.preset.overrides.samples == 6
    monkeypatch.setenv("ADASCALE_SAMPLES", "0")
    with pytest.raises(UsageError, match=r"^ADASCALE_SAMPLES: 0 is less than 1$"):
        parsed(AskOptions)


@pytest.mark.parametrize(
    ("typed", "tokens"),
    [("off", 0), ("0", 0), ("on", THINK_TOKENS), ("auto", None), ("300", 300)],
)
def test_thinking_is_a_word_or_a_number(typed: str, tokens: int | None) -> None:
    assert parsed(AskOptions, "--think", typed).session.think == tokens


@pytest.mark.parametrize("typed", ["maybe", "-1", "", "1.5", "2k", "9" * 400])
def test_thinking_that_is_neither_is_refused(typed: str) -> None:
    with pytest.raises(AssertionError, match="is not off, on, auto or a number"):
        parsed(AskOptions, "--think", typed)


def test_a_mode_and_a_kind_choose_the_strategy() -> None:
    assert parsed(AskOptions).search.make_strategy() == Adaptive()
    assert parsed(AskOptions, "--mode", "program").search.make_strategy() == Adaptive(modes=("program",))
    assert parsed(BatchOptions).search.make_strategy("json") == EFFORTS["json"]["medium"]
    assert parsed(BatchOptions, "--strategy", "vote").search.make_strategy("json").name == "vote"
    with pytest.raises(UsageError, match="trees of steps"):
        parsed(AskOptions, "--strategy", "beam", "--mode", "program").search.make_strategy()


@pytest.mark.parametrize("command", [AskOptions, ChatOptions, BatchOptions])
@pytest.mark.parametrize("name", ["passing", "agreement", "readings"])
def test_what_the_kind_of_a_question_chooses_is_no_option(command: type[Any], name: str) -> None:
    with pytest.raises(AssertionError, match="Invalid value for '--strategy'"):
        parsed(command, "--strategy", name)


@pytest.mark.parametrize("command", [AskOptions, EvalOptions])
def test_the_paper_samples_at_its_own_temperature_unless_another_is_given(command: type[Any]) -> None:
    def temperature(*args: str) -> float | None:
        options = parsed(command, *args)
        preset = options.preset if command is EvalOptions else options.search.preset
        return session_for(preset, options.session).sampling.temperature

    assert temperature("-o", "paper", "true") == 0.7
    assert temperature("-o", "temperature", "1", "-o", "paper", "true") == 1.0
    assert temperature() is None


def test_what_a_command_always_does_is_no_flag() -> None:
    assert parsed(FitOptions).run.session.calibration == "none"
    with pytest.raises(AssertionError, match="No such option"):
        parsed(FitOptions, "--calibration", "auto")
    assert parsed(CalibrationOptions, "--calibration", "none").session.calibration == "none"


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


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--strategy", "greedy", "-o", "samples", "64"), "greedy has no `samples`"),
        (("-o", "beams", "9", "-o", "branching", "2"), "adaptive has no `beams` and no `branching`"),
    ],
)
def test_a_number_that_the_strategy_does_not_have_is_refused(args: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}$"):
        parsed(AskOptions, *args).search.make_strategy()
