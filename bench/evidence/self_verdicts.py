"""Ask a model whether its own recorded solutions are correct: one reading each, with nothing generated.

Usage: ``python -m bench.evidence.self_verdicts MODEL bench/draws/rollouts-*.jsonl.gz --data DATA.jsonl ...
-o VERDICTS.jsonl.gz [--states STATES.npz]``

The solution stands in the conversation as the model's reply, so in a search its prefix would be cached: a
verdict costs the tokens of ``ASKED``. A line has the question's id, the mode, the log-odds of yes over no for
each finished solution, and the tokens read beyond it. ``--states`` keeps the last hidden state of each
verdict, ``[solutions, width]``, in the order of the lines. The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from adascale.engine.types import Problem, Turn
from adascale.models.llama.prefixes import ParkedPrefix, PrefixCache, evaluate_prompt
from adascale.models.options import SessionOptions
from adascale.models.question_sets import read_known
from adascale.models.session import OpenSession, Session

from ..common import close
from . import recorded_draws
from .rollout_texts import rollouts_of

ASKED = "Is this solution correct? Check it, then answer with one word: yes or no."
EVERY = 10
"""Lines that are written at once."""


def verdicts(
    session: OpenSession, cache: PrefixCache, written: dict[str, object], problem: Problem
) -> tuple[dict[str, object], list[np.ndarray]]:
    """Verdicts on the finished solutions of a question in one mode, and their states."""
    context, rollouts = session.context, rollouts_of(written, problem)
    chat = session.prompts.chats[rollouts.mode]
    yes, no = (
        {context.model.tokenize(w, special=False)[0] for w in (word, word.lower())} for word in ("Yes", "No")
    )
    asked = chat.prompt(problem.question)
    evaluate_prompt(context, cache, 0, None, asked)
    cache.put(asked, ParkedPrefix(context.snapshot(0), None))
    behind = len(chat.prompt(ASKED)) - len(chat.head)
    found, states = [], []
    for end in rollouts.samples():
        text = "".join(rollouts.nodes[row].text for row in rollouts.path(end) if row)
        tokens = chat.prompt(ASKED, (Turn("user", problem.question), Turn("assistant", text)))
        row, _ = evaluate_prompt(context, cache, 0, None, tokens)
        logits = context.logits(row)
        odds = np.logaddexp.reduce(logits[[*yes]]) - np.logaddexp.reduce(logits[[*no]])
        found.append(round(float(odds), 4))
        state = context.state(row)
        assert state is not None, "the session reads states"
        states.append(state.astype(np.float16))
    cache.drop(asked)
    return {"id": problem.id, "mode": rollouts.mode, "odds": found, "tokens": behind}, states


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("rollouts", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--states", type=Path)
    args = parser.parse_args()
    texts = {problem.id: problem for file in read_known(args.data) for problem in file}
    done = len(recorded_draws.lines(args.output)) if args.output.exists() else 0
    todo = recorded_draws.lines(args.rollouts)[done:]
    states = [*np.load(args.states)["states"]] if done and args.states else []
    options = SessionOptions(args.model, branches=2, threads=args.threads, purpose="replay")
    with Session(options) as session:
        cache = PrefixCache(1 << 30)
        for at in range(0, len(todo), EVERY):
            lines = []
            for each in todo[at : at + EVERY]:
                line, seen = verdicts(session, cache, each, texts[each["id"]])
                lines.append(line)
                states += seen
            if args.states:
                np.savez(args.states, states=np.array(states))
            recorded_draws.append(args.output, lines)
            print(f"{done + at + len(lines)}/{done + len(todo)}", flush=True)
    close({"lines": done + len(todo), "model": args.model})


if __name__ == "__main__":
    main()
