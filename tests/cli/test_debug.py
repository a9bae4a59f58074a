"""``ADASCALE_DEBUG`` shows tracebacks."""

from __future__ import annotations

import pytest

from adascale.cli import app


@pytest.mark.parametrize(("value", "is_shown"), [("1", True), ("", False)])
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
