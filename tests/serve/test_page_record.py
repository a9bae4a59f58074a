"""The page's fold of a log says what ``Record`` says, of the same traces."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sample_log import Log, written
from sampled import PROSE_SEARCH

from adascale.cli.disk.trace import read_record
from adascale.engine.codec import to_plain
from adascale.engine.search.record import Record
from adascale.engine.types import ROOT

TESTS = Path(__file__).parents[1]
SOURCE = (TESTS.parent / "api" / "serve" / "static" / "record.js").read_text().replace("export ", "")
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
