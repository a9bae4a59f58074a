import json

import pytest
from sample_log import Log, pens

from adascale.cli.render.jsonl import JsonRenderer
from adascale.cli.terminal.console import json_line
from adascale.engine.search.events import from_json


def test_every_event_is_a_line_that_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    log = pens()
    log.end()
    renderer = JsonRenderer()
    for event in log.events:
        renderer.on(event)
    captured = capsys.readouterr()

    assert captured.out == ""
    assert [from_json(json.loads(line)) for line in captured.err.splitlines()] == log.events


def test_a_status_is_a_line_of_its_own_kind(capsys: pytest.CaptureFixture[str]) -> None:
    JsonRenderer().status("Loading tiny...")

    assert json.loads(capsys.readouterr().err) == {"kind": "status", "text": "Loading tiny..."}


def test_a_line_is_ascii_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    JsonRenderer().on(Log("三 \x1b[2J \u2028 \udcff\r\n").events[0])
    line = capsys.readouterr().err

    assert line.isascii()
    assert line.splitlines() == [line.rstrip("\n")]
    assert "\x1b" not in line
    assert json.loads(line)["problem"]["question"] == "三 \x1b[2J \u2028 ?\r\n"


def test_nan_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_line({"reward": float("nan")})
