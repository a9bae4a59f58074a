import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_log import Log, pens, written

from adascale.cli.disk.traces import read_record, read_trace
from adascale.engine.errors import TraceError
from adascale.engine.search.record import Record


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    log = pens()
    log.end()
    return written(tmp_path / "trace.jsonl", log.events)


def test_what_is_written_is_what_is_read(trace: Path) -> None:
    for events in (Log("三 \x1b[2J \u2028 \udcff\r\n \U0001f58a").events, pens().events):
        assert read_trace(written(trace, events)) == events
        assert read_record(trace) == Record.of(events)


@pytest.mark.parametrize(("cut", "is_torn"), [(1, False), (20, True)])
def test_a_torn_last_line_is_left_out_with_a_warning(
    trace: Path, capsys: pytest.CaptureFixture[str], cut: int, is_torn: bool
) -> None:
    whole = read_trace(trace)
    trace.write_bytes(trace.read_bytes()[:-cut])  # one byte is its newline alone
    assert read_trace(trace) == whole[: len(whole) - is_torn]
    warning = f"warning[torn-trace]: {trace} line {len(whole)} is not complete"
    assert capsys.readouterr().err.startswith(warning if is_torn else "")


def changed(trace: Path, line: int, **fields: object) -> Path:
    """The trace with other values in one line; None takes the field out."""
    lines = trace.read_text().splitlines()
    record = {**json.loads(lines[line - 1]), **fields}
    lines[line - 1] = json.dumps({key: value for key, value in record.items() if value is not None})
    trace.write_text("\n".join(lines) + "\n")
    return trace


@pytest.mark.parametrize(
    ("line", "fields", "message"),
    [
        (1, {"schema": "adascale.trace/9"}, "line 1: the trace is 'adascale.trace/9', this version reads"),
        (1, {"kind": "warned", "code": "a", "message": "b"}, "line 1: a trace is one search"),
        (3, {"kind": "invented"}, "line 3: unknown event kind 'invented'"),
        (3, {"reward": None}, "line 3: event 'step_scored' is malformed"),
        (3, {"node": 77}, "line 3: event 2 names a node"),
        (3, {"seq": 3}, "line 3: event 2 is missing, 3 follows"),
        (3, {"reward": 10**400}, "line 3: event 'step_scored' is malformed: reward"),
        (1, {"problem": "text"}, "line 1: event 'search_started' is malformed: problem"),
        (2, {"kind": "search_started"}, "line 2: event 'search_started' is malformed"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(
    trace: Path, line: int, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(TraceError) as caught:
        read_trace(changed(trace, line, **fields))
    assert f"{trace} {message}" in caught.value.message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b'{"kind": "search', "line 1: not valid JSON"),
        (b'{"schema": "adascale.answer/1", "id": "1"}\n', "line 1: an answer, and no event of a search"),
        (b"GGUF\xff\xfe\n", "line 1: not valid JSON"),
        (b"[1]\n", "line 1: not a JSON object"),
        (b"[" * 100_000 + b"\n", "line 1: not valid JSON"),
        (b'{"kind": 9' + b"9" * 5000 + b"}\n", "line 1: not valid JSON"),
    ],
)
def test_what_is_no_trace_is_an_error(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(data)

    with pytest.raises(TraceError) as caught:
        read_trace(path)
    assert message in caught.value.message


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no such file"):
        read_trace(tmp_path / "none.jsonl")
    with pytest.raises(TraceError, match="is a directory"):
        read_trace(tmp_path)


def damage(trace: Path, data: st.DataObject) -> int:
    """Write a trace with some bytes replaced, lost or added; returns how many events it had."""
    log = pens()
    log.end()
    whole = written(trace, log.events).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    trace.write_bytes(
        whole[:at] + data.draw(st.binary(max_size=4)) + whole[at + data.draw(st.integers(0, 40)) :]
    )
    return len(log.events)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_never_more_than_a_trace_error(trace: Path, data: st.DataObject) -> None:
    before = damage(trace, data)

    try:
        events = read_trace(trace)
    except TraceError:
        return
    assert [event.seq for event in events] == list(range(len(events)))
    assert len(events) <= before
