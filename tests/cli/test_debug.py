"""``ADASCALE_DEBUG`` and its words for off."""

from __future__ import annotations

import os
import sys

import pytest
from commands import invoked

from adascale.cli import app


@pytest.mark.parametrize(
    ("value", "is_shown"), [("1", True), ("true", True), ("0", False), ("False", False), ("", False)]
)
def test_a_traceback_is_shown_where_debugging_is_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str, is_shown: bool
) -> None:
    def fail(**options: bool) -> None:
        raise ZeroDivisionError

    monkeypatch.setenv("ADASCALE_DEBUG", value)
    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(SystemExit):
        app.main()
    assert ("Traceback" in capsys.readouterr().err) == is_shown


def test_a_worker_finds_the_variable_set_or_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, left in (("no", None), ("yes", "1")):
        monkeypatch.setenv("ADASCALE_DEBUG", value)
        monkeypatch.setattr(sys, "argv", ["adascale", "mcp", "--print-config"])
        invoked(app.app, "mcp", "--print-config")
        assert os.environ.get("ADASCALE_DEBUG") == left
