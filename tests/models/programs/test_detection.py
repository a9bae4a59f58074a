"""A sandbox is believed when a program cannot leave it; without one the reasons and a remedy are told."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adascale.engine.errors import AdascaleError
from adascale.models.programs import detection
from adascale.models.programs.sandboxes import UNSANDBOXED, Sandbox

BROKEN = Sandbox("broken", ("/bin/sh", "-c", "echo no namespaces >&2; exit 1", "sh"))
SILENT = Sandbox("silent", ("/bin/true",))


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    detection.find_sandbox.cache_clear()
    yield
    detection.find_sandbox.cache_clear()


def test_every_way_out_is_named() -> None:
    assert detection.why_not(UNSANDBOXED) == (
        "a program in it reads files, opens connections, signals processes"
    )


def test_what_does_not_start_says_why() -> None:
    assert detection.why_not(BROKEN) == "no namespaces"
    assert detection.why_not(SILENT) == "it does not start"


def test_what_cannot_be_tried_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert detection.why_not(UNSANDBOXED).startswith("it cannot be tried: [Errno 2] No such file")


def test_the_first_that_holds_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Sandbox("held")
    monkeypatch.setattr(detection, "candidates", lambda: iter([BROKEN, UNSANDBOXED, held, SILENT]))
    why_not = detection.why_not
    monkeypatch.setattr(detection, "why_not", lambda sandbox: "" if sandbox is held else why_not(sandbox))
    assert detection.find_sandbox() is held


@pytest.mark.parametrize(
    ("platform", "programs", "hint"),
    [
        ("linux", [], "pip install 'adascale[sandbox]'"),
        ("linux", ["/usr/bin/bwrap"], "`unsandboxed=True` runs programs with limits alone"),
        ("darwin", [], "`unsandboxed=True` runs programs with limits alone"),
    ],
)
def test_none_is_refused_with_the_reasons(
    monkeypatch: pytest.MonkeyPatch, platform: str, programs: list[str], hint: str
) -> None:
    monkeypatch.setattr(detection, "candidates", lambda: iter([BROKEN, SILENT]))
    monkeypatch.setattr(detection, "bubblewrap_programs", lambda: iter(programs))
    monkeypatch.setattr("sys.platform", platform)
    with pytest.raises(AdascaleError) as refused:
        detection.find_sandbox()
    assert refused.value.slug == "no-sandbox"
    assert refused.value.facts == ("broken: no namespaces", "silent: it does not start")
    assert refused.value.hint == hint
