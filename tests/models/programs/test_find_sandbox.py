"""A sandbox is believed when a program cannot leave it; without one the reasons and a remedy are told."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adascale.engine.errors import AdascaleError
from adascale.models.extras import install_command
from adascale.models.programs import cpython
from adascale.models.programs.sandbox import UNSANDBOXED, Sandbox

BROKEN = Sandbox("broken", ("/bin/sh", "-c", "echo no namespaces >&2; exit 1", "sh"))
SILENT = Sandbox("silent", ("/bin/true",))


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    cpython.find_sandbox.cache_clear()
    yield
    cpython.find_sandbox.cache_clear()


def test_every_way_out_is_named() -> None:
    assert cpython.why_not(UNSANDBOXED) == (
        "a program in it reads files, opens connections, signals processes"
    )


def test_what_does_not_start_says_why() -> None:
    assert cpython.why_not(BROKEN) == "no namespaces"
    assert cpython.why_not(SILENT) == "it does not start"


def test_what_cannot_be_tried_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert cpython.why_not(UNSANDBOXED).startswith("it cannot be tried: [Errno 2] No such file")


def test_the_first_that_holds_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Sandbox("held")
    monkeypatch.setattr(cpython, "candidates", lambda: iter([BROKEN, UNSANDBOXED, held, SILENT]))
    why_not = cpython.why_not
    monkeypatch.setattr(cpython, "why_not", lambda sandbox: "" if sandbox is held else why_not(sandbox))
    assert cpython.find_sandbox() is held


@pytest.mark.parametrize(
    ("platform", "programs", "hint"),
    [
        ("linux", [], install_command("sandbox")),
        ("linux", ["/usr/bin/bwrap"], "`unsandboxed=True` runs programs with limits alone"),
        ("darwin", [], "`unsandboxed=True` runs programs with limits alone"),
    ],
)
def test_none_is_refused_with_the_reasons(
    monkeypatch: pytest.MonkeyPatch, platform: str, programs: list[str], hint: str
) -> None:
    monkeypatch.setattr(cpython, "candidates", lambda: iter([BROKEN, SILENT]))
    monkeypatch.setattr(cpython, "bubblewrap_programs", lambda: iter(programs))
    monkeypatch.setattr("sys.platform", platform)
    with pytest.raises(AdascaleError) as refused:
        cpython.find_sandbox()
    assert refused.value.slug == "no-sandbox"
    assert refused.value.facts == ("broken: no namespaces", "silent: it does not start")
    assert refused.value.hint == hint
