"""Compute again the hidden states of rollouts that ``rollout_texts`` has kept without them.

Usage: ``python -m bench.evidence.read_states MODEL FILE.jsonl.gz --data DATA.jsonl ... -o STORE.sqlite``

A step's states are those that its tokens were drawn from (``engine.types.Reading``). They come from the same
tokens behind the same prompt, but of batches of another shape, so they differ in the last digits. The same
command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from adascale.engine.types import Problem
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.llama.prefixes import evaluate_tokens
from adascale.models.llama.runtime import MAX_BATCH_TOKENS, LlamaContext, Run
from adascale.models.options import SessionOptions
from adascale.models.question_sets import read_known
from adascale.models.session import Session

from ..common import close
from . import recorded_draws
from .rollout_texts import rollouts_of

Array = NDArray[np.float32]


def with_states(context: LlamaContext, prompt: Sequence[int], rollouts: Rollouts) -> Rollouts:
    """Rollouts with the states of every node."""
    shape = len(rollouts.nodes), context.model.width
    last, mean = np.zeros(shape, np.float16), np.zeros(shape, np.float16)
    context.clear(0)
    row = evaluate_tokens(context, 0, 0, prompt)
    state = context.state(row)
    assert state is not None, "the context keeps states"
    asked, kept = state.copy(), context.snapshot(0)
    last[0] = mean[0] = asked
    for end in rollouts.ends():
        path = rollouts.path(end)
        tokens = [token for at in path for token in rollouts.nodes[at].token_ids]
        context.restore(0, kept)
        drawn_from = np.concatenate([asked[None], _states_of(context, len(prompt), tokens[:-1])])
        at = 0
        for node in path:
            own = drawn_from[at : at + len(rollouts.nodes[node].token_ids)]
            last[node], mean[node] = own[-1], own.mean(axis=0)
            at += len(own)
    return replace(rollouts, last=last, mean=mean)


def _states_of(context: LlamaContext, start: int, tokens: Sequence[int]) -> Array:
    """``[tokens, width]`` states behind each token, evaluated in sequence 0."""
    found = np.zeros((len(tokens), context.model.width), np.float32)
    for at in range(0, len(tokens), MAX_BATCH_TOKENS):
        part = tokens[at : at + MAX_BATCH_TOKENS]
        # One run for each token: the context keeps states of the last token of each.
        context.decode([Run(0, start + at + place, [token]) for place, token in enumerate(part)])
        for place in range(len(part)):
            pointer = C.llama_get_embeddings_ith(context.handle, place)
            found[at + place] = np.ctypeslib.as_array(pointer, shape=(context.model.width,))
    return found


def _todo(
    lines: Sequence[Mapping[str, Any]], texts: Mapping[str, Problem], store: RolloutStore
) -> list[Rollouts]:
    every = [rollouts_of(line, texts[line["id"]]) for line in lines]
    return [each for each in every if not store.holds(each.problem, each.mode)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("rollouts", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", "-o", type=Path, required=True)
    args = parser.parse_args()
    texts = {problem.id: problem for file in read_known(args.data) for problem in file}
    options = SessionOptions(args.model, branches=2, threads=args.threads, purpose="replay")
    with Session(options) as session, closing(RolloutStore(args.output)) as store:
        todo = _todo(recorded_draws.lines(args.rollouts), texts, store)
        for done, rollouts in enumerate(todo, start=1):
            prompt = session.prompts.chats[rollouts.mode].prompt(rollouts.problem.question)
            store.put(with_states(session.context, prompt, rollouts))
            if done % 10 == 0:
                print(f"{done}/{len(todo)}", flush=True)
    close({"read": len(todo), "model": args.model})


if __name__ == "__main__":
    main()
