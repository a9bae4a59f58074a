"""Measures the worth of thinking to a model that was not made for it: without a thought, and by budget.

Usage: ``python -m bench.evidence.thinking qwen2.5-coder-1.5b -o thinker.gguf [--budgets 0,256,1024]``

The model gets a chat template whose switch opens a thought and says what it is for; with the switch off its
prompt is that of ChatML. The copy with this template stays where ``-o`` says, and is used again. Questions
are the first of those that calibrations are fitted on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.search.prefix_outcomes import right_nodes
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Vote
from adascale.engine.types import Problem
from adascale.models.calibration.installed import built_in_questions
from adascale.models.options import MAX_BRANCHES, SessionOptions
from adascale.models.session import Session

from ..common import close, model_path, table

TEMPLATE = """\
{%- set thinks = enable_thinking is defined and enable_thinking -%}
{%- for message in messages -%}
    {{- "<|im_start|>" + message.role + "\\n" + message.content -}}
    {%- if thinks and message.role == "system" -%}
        {{- " First think about the problem in your own words between <think> and </think>." -}}
    {%- endif -%}
    {{- "<|im_end|>\\n" -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- "<|im_start|>assistant\\n" + ("<think>\\n" if thinks else "") -}}
{%- endif -%}
"""


@dataclass(frozen=True, slots=True)
class Thinking:
    """Figures of trajectories with one budget.

    Attributes:
        budget: Tokens of a thought, 0 for none.
        trajectories: How many.
        right: Share of them that are right, the mean over questions.
        voted: Share of questions whose vote is right.
        answered: Share of the trajectories with an answer.
        cut: Share of them whose thought was closed at the budget.
        thought: Tokens of a thought, in the mean.
        tokens: Tokens of a trajectory, in the mean.
        seconds: Wall time of all.
    """

    budget: int
    trajectories: int
    right: float
    voted: float
    answered: float
    cut: float
    thought: float
    tokens: float
    seconds: float

    @classmethod
    def of(cls, budget: int, records: Sequence[Record], seconds: float) -> Thinking:
        """Figures of the searches of all questions."""
        right, voted, answered, cut, thought, tokens = 0.0, 0, 0, 0, 0, 0
        for record in records:
            correct = right_nodes(record, record.started.problem)
            right += len(correct) / len(record.candidates)
            voted += bool(record.groups) and record.groups[0].nodes[0] in correct
            for candidate in record.candidates:
                steps = record.tree.thoughts(candidate.node)
                answered += candidate.answer is not None
                cut += any(step.thought == "cut" for step in steps)
                thought += sum(len(step.token_ids) for step in steps)
            tokens += record.usage.generated_tokens
        each = sum(len(record.candidates) for record in records)
        return cls(
            budget,
            each,
            right / len(records),
            voted / len(records),
            answered / each,
            cut / each,
            thought / each,
            tokens / each,
            seconds,
        )

    def row(self) -> list[str]:
        """For a table."""
        shares = (f"{share:.3f}" for share in (self.right, self.voted, self.answered, self.cut))
        counts = (f"{number:.0f}" for number in (self.thought, self.tokens, self.seconds))
        return [str(self.budget or "off"), *shares, *counts]


def with_template(model: Path, copy: Path) -> Path:
    """A copy of the model that thinks where its switch says so, in the place of an older one."""
    with tempfile.NamedTemporaryFile("w", suffix=".jinja") as template:
        template.write(TEMPLATE)
        template.flush()
        tool = [sys.executable, "-m", "gguf.scripts.gguf_new_metadata", "--force"]
        subprocess.run([*tool, "--chat-template-file", template.name, model, copy], check=True)
    return copy


def measure(model: Path, budget: int, problems: Sequence[Problem], samples: int, seed: int) -> Thinking:
    """Ask each question, and vote over so many trajectories."""
    options = SessionOptions(str(model), calibration="none", think=budget, branches=MAX_BRANCHES)
    records: dict[str, Record] = {}
    with Session(options) as session:
        settings = Settings(Vote(samples), seed=seed)
        started = time.monotonic()
        for problem, event in session.driver(time.monotonic).run(problems, settings):
            records[problem.id] = Record.after(records.get(problem.id), event)
        return Thinking.of(budget, list(records.values()), time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--output", "-o", type=Path, required=True, help="the copy that thinks")
    parser.add_argument("--budgets", default="0,256,1024")
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    copy = with_template(model_path(args.model), args.output)
    problems = built_in_questions()[: args.questions]
    found = []
    for budget in map(int, args.budgets.split(",")):
        found.append(measure(copy, budget, problems, args.samples, args.seed))
        head = ["think", "right", "vote right", "answered", "cut", "thought tokens", "tokens", "seconds"]
        table(head, [each.row() for each in found])
    figures = {
        str(each.budget): {"right": round(each.right, 4), "tokens": round(each.tokens, 1)} for each in found
    }
    close({"questions": len(problems), "samples": args.samples, "budgets": figures})


if __name__ == "__main__":
    main()
