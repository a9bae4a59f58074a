import json
from pathlib import Path

import pytest
from commands import invoked
from sample_log import Log, pens, written
from terminal import shown

from adascale.cli.commands.replay import play
from adascale.cli.disk.traces import read_trace
from adascale.cli.render.state import ViewState
from adascale.cli.render.tree import whole_tree
from adascale.engine.errors import AdascaleError
from adascale.engine.search.events import SearchFailed
from adascale.engine.types import ROOT, Notice

GOLDEN = Path(__file__).parents[2] / "golden"


def test_json(trace: str) -> None:
    stdout, _ = invoked("replay", trace, "--json")

    assert json.loads(stdout) == {
        "schema": "adascale.replay/1",
        "answer": "27",
        "stop_reason": "exhausted",
        "nodes": 8,
        "usage": {
            "prompt_tokens": 40,
            "reused_tokens": 0,
            "generated_tokens": 237,
            "prm_tokens": 237,
            "flops": 0.0,
            "seconds": 0.0,
        },
    }


@pytest.mark.parametrize("json_output", [(), ("--json",)])
def test_a_search_that_failed_ends_as_it_did_when_it_was_asked(
    json_output: tuple[str, ...], tmp_path: Path
) -> None:
    log = pens()
    notice = Notice("too-long", "the question is too long", (), "a shorter one")
    log.add(SearchFailed, notice=notice, error_type="ContextOverflowError")
    trace = written(tmp_path / "t.jsonl", log.events)
    with pytest.raises(AdascaleError, match="the question is too long"):
        invoked("replay", str(trace), *json_output)
    told = shown(whole_tree(ViewState.of(read_trace(trace)), 100), 100)
    assert "failed: the question is too long" in told
    assert "stopped by you" not in told
    unfinished = written(tmp_path / "u.jsonl", pens().events)
    assert " · unfinished · " in shown(whole_tree(ViewState.of(read_trace(unfinished)), 100), 100)


def test_the_answer_of_a_code_task_is_its_program() -> None:
    golden = str(GOLDEN / "passing.jsonl")
    program, _ = invoked("replay", golden)
    told, _ = invoked("replay", golden, "--json")
    assert json.loads(told)["answer"] == program.rstrip("\n")


def test_a_search_that_never_ended_has_no_answer(tmp_path: Path) -> None:
    trace = str(written(tmp_path / "t.jsonl", pens().events))
    stdout, stderr = invoked("replay", trace)
    record, _ = invoked("replay", trace, "--json")

    assert stdout == ""
    assert "warning[unfinished-trace]" in stderr
    assert json.loads(record)["answer"] is None
    assert json.loads(record)["stop_reason"] is None


@pytest.mark.parametrize(("speed", "last"), [(1.0, 4.0), (4.0, 1.0), (None, 0.0)])
def test_a_live_view_keeps_the_recorded_pace(
    speed: float | None, last: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, times = [0.0], list[float]()
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    log = Log(pace=1.0)
    log.read_prompt()
    log.step(ROOT, "hm\n", 0.5)
    play(log.events, lambda event: times.append(now[0]), speed)
    assert times[-1] == pytest.approx(last)
    assert len(times) == len(log.events)
