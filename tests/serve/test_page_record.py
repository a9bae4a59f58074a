"""The page's fold of a log says what ``Record`` says, of the same traces."""

from __future__ import annotations

import copy
import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sample_log import Log
from sampled import PROSE_SEARCH
from traces import written

from adascale.cli.disk.trace import read_record
from adascale.engine.codec import to_plain
from adascale.engine.search.record import Record
from adascale.engine.types import ROOT

TESTS = Path(__file__).parents[1]
SOURCE = (TESTS.parent / "api" / "serve" / "page" / "record.js").read_text().replace("export ", "")
PLAY = """
function play(text) {
  const [started, ...events] = text.trim().split("\\n").map((line) => JSON.parse(line));
  const record = new SearchRecord(started);
  for (const event of events) record.add(event);
  const { nodes, groups, standing, finished, tokens, answer, confidence, options } = record;
  const running = [...record.running.values()].map((branch) => branch.parent);
  const shown = record.solution?.text ?? "";
  return { nodes, groups, standing, finished, tokens, answer, confidence, options, running, shown };
}
"""
TRACES = [*sorted((TESTS / "golden").glob("*.jsonl")), PROSE_SEARCH]


def played(trace: Path) -> Any:
    """The page's record of a trace, by Node or by Chromium."""
    if node := shutil.which("node"):
        script = f"{SOURCE}{PLAY}console.log(JSON.stringify(play(require('fs').readFileSync(0, 'utf8'))))"
        done = subprocess.run([node, "-e", script], input=trace.read_bytes(), capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("neither Node nor Chromium is here")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        page = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        return page.evaluate(f"(text) => {{ {SOURCE}{PLAY} return play(text); }}", trace.read_text())


def folded(record: Record) -> dict[str, Any]:
    """The same of a ``Record``."""
    tree = record.tree
    answers = {candidate.node: candidate.answer for candidate in record.candidates}
    root = {"id": ROOT, "parent": None, "children": list(tree.children(ROOT)), "status": "open"}
    nodes = [
        {
            "id": node.id,
            "parent": node.parent,
            "children": list(tree.children(node.id)),
            "text": node.step.text,
            "tokens": len(node.step.token_ids),
            "mode": node.mode,
            "isThought": node.is_thought,
            "status": "finished" if node.status == "terminal" else node.status,
            **({"estimate": to_plain(node.estimate)} if node.estimate is not None else {}),
            **({"execution": to_plain(node.execution)} if node.execution is not None else {}),
            **({"answer": answers[node.id]} if node.id in answers else {}),
            **({"reason": record.reasons[node.id]} if node.id in record.reasons else {}),
        }
        for node in tree
        if node.step is not None
    ]
    best = record.result.best if record.result else record.groups[0].nodes[0] if record.groups else None
    agreeing = [best, *(record.groups[0].nodes if record.groups else ())]
    prose = [node for node in agreeing if node is not None and tree[node].mode == "prose"]
    shown = prose[0] if prose else best
    return {
        "nodes": [root, *nodes],
        "groups": to_plain(record.groups),
        "standing": to_plain(tree.standing),
        "finished": len(record.candidates),
        "tokens": record.usage.generated_tokens,
        "answer": record.answer,
        "confidence": to_plain(record.confidence),
        "options": dict(record.options),
        "shown": "" if shown is None else tree.text(shown),
    }


@pytest.mark.parametrize("trace", TRACES, ids=lambda path: path.stem)
def test_the_page_and_the_record_say_the_same_of_a_search(trace: Path) -> None:
    found = played(trace)
    assert found.pop("running") == []
    assert found == folded(read_record(trace))


def test_they_say_the_same_of_an_unfinished_search(tmp_path: Path) -> None:
    log = Log()
    branch = log.start(ROOT)
    thought = log.step(ROOT, "Hmm.\n\n", 0.3, branch=branch, ended=False, thought="part")
    log.finish_path(log.step(thought, "so\n", 0.4, branch=branch), "it is 3", 0.9, "3")
    log.prune(log.step(ROOT, "no\n", 0.1))
    below = log.step(ROOT, "and\n", 0.5)
    log.start(below, "being written", 7)
    trace = written(tmp_path / "t.jsonl", log.events)
    found, record = played(trace), read_record(trace)
    assert found.pop("running") == [below]
    assert found == folded(record)


def test_they_say_the_same_of_options(tmp_path: Path) -> None:
    lines = PROSE_SEARCH.read_text().splitlines()
    [started, *others] = [json.loads(line) for line in lines]
    read = {"options": ["yes", "no"], "log_probs": [-0.1, -2.4], "usage": others[-1]["usage"]}
    others[-1]["result"]["options"] = {"yes": 0.91, "no": 0.09}
    events = [started, {"kind": "options_read", "t": 0.1, **read}, *others]
    trace = tmp_path / "t.jsonl"
    trace.write_text("".join(json.dumps(event | {"seq": seq}) + "\n" for seq, event in enumerate(events)))
    found = played(trace)
    assert found.pop("running") == []
    assert found["options"] == {"yes": 0.91, "no": 0.09}
    assert found == folded(read_record(trace))


EVENTS = (TESTS.parent / "api" / "serve" / "page" / "events.js").read_text().replace("export ", "")
ODD = [None, True, 5, -1, 1e300, "x", [], [None], {}, {"nodes": [9]}]
TAKE = """
const traces = JSON.parse(require("fs").readFileSync(0, "utf8"));
const refused = [];
for (const trace of traces) {
  let record = null;
  try {
    for (const event of trace.map(checked)) {
      if (event.kind === "search_started") record = new SearchRecord(event);
      else record.add(event);
    }
    refused.push(false);
  } catch (error) {
    if (error.constructor !== Error && record !== null) throw error;
    refused.push(true);
  }
  if (record !== null) {
    [record.solution?.text.trim(), record.leading.length, record.written, record.answer?.trim()];
  }
}
console.log(JSON.stringify(refused));
"""


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: its parent, and its key."""
    for key, each in [*value.items()] if isinstance(value, dict) else [*enumerate(value)]:
        yield value, key
        if isinstance(each, dict | list):
            yield from places(each)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not here")
def test_events_of_odd_types_end_a_search_with_an_error_of_ours() -> None:
    rng = random.Random(0)
    whole = [[json.loads(line) for line in trace.read_text().splitlines()] for trace in TRACES[:-1]]
    traces = [*whole]
    for _ in range(400):
        traces.append([*rng.choice(whole)])
        at = rng.randrange(len(traces[-1]))
        traces[-1][at] = copy.deepcopy(traces[-1][at])
        parent, key = rng.choice([*places(traces[-1][at])])
        parent[key] = rng.choice(ODD)
    script = EVENTS + SOURCE + TAKE
    done = subprocess.run(["node", "-e", script], input=json.dumps(traces).encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    refused = json.loads(done.stdout)
    assert not any(refused[: len(whole)])
    assert sum(refused) > 60
