"""How well estimates tell that a wrong step is present so far, on ProcessBench (arXiv 2412.06559).

Usage: ``python -m bench.evidence.processbench DATA.jsonl MODEL [--prm none|self|REF] [--limit N]``

The solutions were written by other models: the generator reads them token by token as if it had written
them, many at once. With ``--prm`` the PRM scores the same steps. AUC is over step prefixes, each solution
weighing the same; intervals are a bootstrap over solutions.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as C
import numpy as np

from adascale.engine.calibration.metrics import Predictions, auc, bootstrap
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.types import Finish, Problem, Reading, Step
from adascale.models.calibration.artefact import read_installed
from adascale.models.llama.context import Run, Snapshot
from adascale.models.llama.prefixes import PrefixCache, read_prompt
from adascale.models.llama.sampling import Certainty, certainty
from adascale.models.llama.sequence import pooled
from adascale.models.options import SessionOptions
from adascale.models.session import Session

from ..common import close, table


@dataclass
class Solution:
    """A solution while it is read: ``steps`` are tokens still to read, ``done`` those that were."""

    problem: Problem
    label: int
    texts: list[str]
    steps: list[list[int]]
    at: tuple[int, int] = (0, 0)
    read: list[tuple[Any, Certainty]] = field(default_factory=list)
    done: list[Step] = field(default_factory=list)

    def push(self, logits: Any, state: Any) -> int:
        """The next token, read off the distribution that it would have been drawn from."""
        step, index = self.at
        token = self.steps[step][index]
        self.read.append((state.copy(), certainty(logits, token)))
        self.at = (step, index + 1)
        if index + 1 == len(self.steps[step]):
            last = step + 1 == len(self.steps)
            finish: Finish = "stop" if last else "step"
            ids = tuple(self.steps[step])
            states, certainties = map(list, zip(*self.read, strict=True))
            logprob = sum(each.logprob for each in certainties)
            reading = pooled(np.add.reduce(states), states[-1], certainties)
            self.done.append(Step(self.texts[step], ids, logprob, finish, reading))
            self.read, self.at = [], (step + 1, 0)
        return token

    @property
    def finished(self) -> bool:
        return len(self.done) == len(self.steps)


def solutions(path: str, session: Session, limit: int | None) -> list[Solution]:
    model = session.model
    end = C.llama_vocab_eot(model.vocab)
    end = end if end >= 0 else C.llama_vocab_eos(model.vocab)
    found = []
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    # Evenly over the file, which has all wrong solutions first.
    for at in np.linspace(0, len(lines) - 1, min(limit or len(lines), len(lines))).round().astype(int):
        line = lines[at]
        record = json.loads(line)
        texts = [text.strip() + "\n\n" for text in record["steps"][:-1]] + [record["steps"][-1].strip()]
        tokens = [model.tokenize(text, special=False) for text in texts]
        tokens[-1].append(end)
        problem = Problem(record["id"], record["question"])
        found.append(Solution(problem, record["label"], texts, tokens))
    return found


def read(session: Session, wanted: Sequence[Solution]) -> Iterator[tuple[Solution, Snapshot]]:
    """Read all solutions, a full batch at a time."""
    context, chat = session.context, session.prompts.chats["prose"]
    cache = PrefixCache(1 << 30)
    width = context.sequences
    for at in range(0, len(wanted), width):
        group = list(wanted[at : at + width])
        parked, lengths, rows = [], [], []
        for sequence, solution in enumerate(group):
            prompt = chat.prompt(solution.problem.question)
            read_prompt(context, cache, sequence, chat.head, prompt)
            found = cache.get(prompt)
            assert found is not None
            parked.append(found)
            lengths.append(len(prompt))
            rows.append((found.logits, found.hidden))
        for sequence, found in enumerate(parked):
            context.restore(sequence, found)
        while not all(solution.finished for solution in group):
            runs = []
            for sequence, solution in enumerate(group):
                # One that is done keeps its place: sequences in a batch must not have gaps.
                token = 0 if solution.finished else solution.push(*rows[sequence])
                runs.append(Run(sequence, lengths[sequence], [token]))
                lengths[sequence] = min(lengths[sequence] + 1, context.window - 1)
            context.decode(runs)
            rows = [(context.logits(row), context.state(row)) for row in range(len(group))]
        for sequence, solution in enumerate(group):
            context.clear(sequence)
            cache.drop(chat.prompt(solution.problem.question))
            yield solution, parked[sequence]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("model")
    parser.add_argument("--prm", default="none")
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    prm = "probe" if args.prm == "none" else args.prm
    with Session(SessionOptions(args.model, prm=prm, branches=32, purpose="rollouts")) as session:
        wanted = solutions(args.data, session, args.limit)
        rows: dict[str, list[float]] = {"mean log-probability": [], "probe": [], "prm": []}
        question, wrong, last = [], [], []
        likelihood, probe = (
            SequenceLogprob(),
            read_installed().find(replace(session.prompts.fingerprints["value"], prm="", prm_format="probe")),
        )
        for index, (solution, parked) in enumerate(read(session, wanted)):
            for i in range(len(solution.done)):
                prompt = Reading(parked.hidden, parked.hidden)
                prefix = Prefix(solution.problem, tuple(solution.done[: i + 1]), prompt)
                reward = likelihood.score([prefix])[0].reward
                rows["mean log-probability"].append(reward)
                if probe is not None:
                    rows["probe"].append(probe.calibration.estimate(prefix, reward).median)
                if args.prm != "none":
                    rows["prm"].append(session.reward_model.score([prefix])[0].reward)
                question.append(index)
                wrong.append(0 <= solution.label <= i)
                last.append(i + 1 == len(solution.done))
            session.reward_model.close_problem(solution.problem)
    figures: dict[str, Any] = {"model": args.model, "--prm": args.prm, "solutions": len(wanted)}
    printed = []
    for name, values in rows.items():
        if not values:
            continue
        for part, chosen in (("prefixes", np.ones(len(last), bool)), ("whole solutions", np.array(last))):
            p = np.array(values)[chosen]
            right = 1.0 - np.array(wrong, float)[chosen]
            data = Predictions(np.array(question)[chosen], np.column_stack([p, p, p]), right, np.ones(len(p)))
            low, high = bootstrap(data, auc)
            figures.setdefault(name, {})[part] = [round(auc(data), 4), round(low, 4), round(high, 4)]
            printed.append([name, part, str(len(p)), f"{auc(data):.3f}", f"{low:.3f} {high:.3f}"])
    table(["score", "over", "n", "AUC", "95 %"], printed)
    close(figures)


if __name__ == "__main__":
    main()
