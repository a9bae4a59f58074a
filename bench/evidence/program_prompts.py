"""Which prompt makes a model write programs that answer questions: several, on the same fitting questions.

Usage: ``python -m bench.evidence.program_prompts MODEL DATA.jsonl ... [--questions 60] [--samples 1]``

For each prompt: the share of right programs, of those that fail (do not run, or print nothing), and tokens.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from adascale.engine.answers.equality import is_right
from adascale.engine.ports import SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import AnswerFound, ProgramRan, SearchFinished
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Vote
from adascale.engine.types import Problem
from adascale.models.llama.chat import ChatFormat
from adascale.models.llama.policy import LlamaPolicy
from adascale.models.llama.prefixes import PrefixCache
from adascale.models.options import SamplingOverrides, SamplingParams, SessionOptions
from adascale.models.question_sets import choose_questions, read_known
from adascale.models.session import OpenSession, Session

from ..common import close, table

_TASK = "Write a short Python program that computes the answer to the problem and prints it."
_PLAIN = "Use plain Python and the math module only."
_FENCE = "```python\n"

PROMPTS: Mapping[str, tuple[str, str]] = {
    "plain": (f"{_TASK} {_PLAIN}", ""),
    "opened": (f"{_TASK} {_PLAIN}", _FENCE),
    "comments": (
        "Solve the problem with a short Python program. Before each line of code write a comment that says "
        f"what it computes and why. Print the final answer only. {_PLAIN}",
        _FENCE,
    ),
    "function": (
        f"Write a Python function solution() that returns the answer to the problem. {_PLAIN}",
        f"{_FENCE}def solution():\n",
    ),
}
"""System prompt, and how every answer begins."""


def measure(
    session: OpenSession, prompt: str, problems: list[Problem], args: argparse.Namespace
) -> list[str]:
    """Right and failed programs, tokens of one, and right answers of the vote."""
    system, opening = PROMPTS[prompt]
    chat = ChatFormat(session.model, system, opening)
    sampling = SamplingParams(temperature=args.temperature, max_tokens=args.max_tokens)
    policy = LlamaPolicy(
        session.context, {"program": chat}, {"program": sampling}, PrefixCache(1 << 28), session.step_costs
    )
    driver = Driver(policy, SequenceLogprob(), {}, time.monotonic, executor=session.executor)
    strategy = Vote(args.samples, modes=("program",))
    gold = {problem.id: problem.answer or "" for problem in problems}
    found: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for problem, event in driver.run(problems, Settings(strategy, seed=1)):
        if isinstance(event, AnswerFound):
            found["right"] += is_right(event.answer, gold=gold[problem.id])
            found["failed"] += event.answer is None
            found["all"] += 1
        elif isinstance(event, ProgramRan) and event.execution.error:
            errors[event.execution.error[:60]] += 1
        elif isinstance(event, SearchFinished):
            found["tokens"] += event.usage.generated_tokens
            found["vote"] += is_right(event.result.answer, gold=gold[problem.id])
    policy.close()
    for error, count in errors.most_common(8):
        print(f"  {count} {error}", flush=True)
    shares = [found["right"] / found["all"], found["failed"] / found["all"], found["vote"] / len(problems)]
    return [prompt, *(f"{share:.3f}" for share in shares), f"{found['tokens'] / found['all']:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--prompts", default=",".join(PROMPTS))
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    problems = choose_questions(read_known(args.data), args.questions, args.seed)
    options = SessionOptions(
        args.model,
        prm="none",
        calibration="none",
        sampling=SamplingOverrides(),
        branches=32,
        purpose="search",
    )
    with Session(options) as session:
        rows = []
        for prompt in args.prompts.split(","):
            rows.append(measure(session, prompt, problems, args))
            print(*rows[-1], flush=True)
    header = ["prompt", "right", "failed", "vote", "tokens"]
    table(header, rows)
    close(
        {
            "model": args.model,
            "questions": len(problems),
            "rows": [dict(zip(header, r, strict=True)) for r in rows],
        }
    )


if __name__ == "__main__":
    main()
