"""Best-of-16 on one question against sixteen completions of llama-cpp-python's ``Llama``, one after another.

Usage: ``python -m bench.runtime.vs_llama MODEL [--samples 16] [--rounds 2]``

Same file, threads, sampler and number of tokens; ``Llama`` keeps the prompt between completions, as it does
for every user. The two alternate in one run.
"""

from __future__ import annotations

import time

from llama_cpp import Llama

from adascale.engine.request import Settings
from adascale.engine.search.events import SearchFinished
from adascale.engine.strategies import BestOfN
from adascale.engine.types import Problem
from adascale.models.machine import physical_cores
from adascale.models.options import SessionOptions
from adascale.models.session import Session

from ..common import arguments, close, model_path, table

QUESTION = (
    "A shop sells pens at 3 for $2 and notebooks at $1.50 each. Mia has $20. She buys 9 pens and as many "
    "notebooks as she can. How much money does she have left?"
)


def best_of_n(session: Session, samples: int, seed: int) -> tuple[int, float]:
    """Tokens and seconds of one search."""
    driver = session.driver(time.perf_counter)
    settings = Settings(BestOfN(samples), seed=seed)
    started = time.perf_counter()
    *_, (_, last) = driver.run([Problem(f"bench-{seed}", QUESTION)], settings)
    seconds = time.perf_counter() - started
    assert isinstance(last, SearchFinished), "the model failed"
    return last.usage.generated_tokens, seconds


def one_by_one(llama: Llama, prompt: list[int], samples: int, tokens: int, seed: int) -> tuple[int, float]:
    """Tokens and seconds of completions of ``tokens / samples`` each, until as many tokens are written."""
    done, started = 0, time.perf_counter()
    each = -(-tokens // samples)
    while done < tokens:
        answer = llama.create_completion(
            prompt,
            max_tokens=min(each, tokens - done),
            temperature=0.8,
            top_k=40,
            top_p=0.95,
            seed=seed + done,
        )
        done += max(1, answer["usage"]["completion_tokens"])
    return done, time.perf_counter() - started


def main() -> None:
    args = arguments(__doc__, "model", samples=16, rounds=2, threads=physical_cores())
    path = model_path(args.model)
    llama = Llama(str(path), n_ctx=2048, n_threads=args.threads, n_threads_batch=args.threads, verbose=False)
    options = SessionOptions(generator=args.model, branches=args.samples, threads=args.threads)
    rows, ours, theirs = [], 0.0, 0.0
    with Session(options) as session:
        prompt = list(session.chats["prose"].prompt(QUESTION))
        for round_ in range(args.rounds):
            tokens, seconds = best_of_n(session, args.samples, seed=round_)
            same, sequential = one_by_one(llama, prompt, args.samples, tokens, seed=1000 * round_)
            ours, theirs = ours + seconds, theirs + sequential
            rows.append(
                [
                    str(round_ + 1),
                    str(tokens),
                    f"{seconds:.1f}",
                    f"{tokens / seconds:.1f}",
                    str(same),
                    f"{sequential:.1f}",
                    f"{same / sequential:.1f}",
                    f"{sequential / seconds:.2f}",
                ]
            )
    header = ["round", "tokens", "adascale s", "tokens/s", "tokens", "Llama s", "tokens/s", "speedup"]
    table(header, rows)
    close({"speedup": round(theirs / ours, 3), "model": args.model, "samples": args.samples})


if __name__ == "__main__":
    main()
