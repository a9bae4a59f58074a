"""Tokens per second of adascale's runtime against a bare decode loop.

Usage: ``python -m bench.runtime.decode MODEL [--branches 1,4,8,16,32] [--tokens 32] [--rounds 3]``

The bare loop calls llama_decode and llama_sampler_sample and nothing else, in both KV layouts; the faster
layout is what adascale is compared with. ``reading`` is adascale with the hidden states of every step pooled,
as a calibration needs them; its share is of adascale without. All alternate in one run, each branch 300
tokens deep.

Where a context's memory lies makes a tenth of the speed, so ratios of one run differ by that much. ``own``
does not: it is the ratio if llama_decode takes both the same time, from what each spends outside of it.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as C

from adascale.engine.ports import BranchStart, Prefix
from adascale.engine.types import BranchId, Problem
from adascale.models.llama.chat import ChatFormat
from adascale.models.llama.context import LlamaContext
from adascale.models.llama.model import AbortFlag, LlamaModel
from adascale.models.llama.policy import LlamaPolicy
from adascale.models.llama.prefixes import PrefixCache
from adascale.models.llama.stepcost import measure
from adascale.models.machine import physical_cores
from adascale.models.options import SamplingParams, round_window_up

from ..common import STORY, arguments, close, model_path, table

DEPTH = 300


class DecodeClock:
    """Takes the place of llama_decode, and adds up the seconds that are spent in it."""

    def __init__(self) -> None:
        self._decode = C.llama_decode
        self.seconds = 0.0

    def __call__(self, *args: Any) -> int:
        started = time.perf_counter()
        status: int = self._decode(*args)
        self.seconds += time.perf_counter() - started
        return status


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one run, and those of them in llama_decode."""

    seconds: float
    decoding: float

    @property
    def outside(self) -> float:
        """Share outside of llama_decode."""
        return 1.0 - self.decoding / self.seconds


@dataclass(frozen=True, slots=True)
class LongPrompt:
    """A question and the tokens of its whole prompt, about ``DEPTH`` of them."""

    question: str
    tokens: tuple[int, ...]

    @classmethod
    def of(cls, model: LlamaModel) -> LongPrompt:
        """The story, asked for so often that the prompt is long enough, give or take one sentence."""
        chat = ChatFormat(model, "You are a writer.")
        question = STORY
        while len(chat.prompt(question + STORY)) <= DEPTH:
            question += STORY
        return cls(question, chat.prompt(question))


class EndlessModel(LlamaModel):
    """Ends no branch, as the bare loop ends none."""

    def is_end(self, token: int) -> bool:
        return False


class BareLoop:
    """Decode and sample, as little Python as ctypes allows."""

    def __init__(
        self, model: LlamaModel, branches: int, window: int, threads: int, clock: DecodeClock, unified: bool
    ) -> None:
        self._clock = clock
        params = C.llama_context_default_params()
        params.n_ctx, params.n_seq_max = window * branches, branches
        params.n_batch = params.n_ubatch = 512
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = C.LLAMA_FLASH_ATTN_TYPE_ENABLED
        params.kv_unified = unified
        self.model, self.branches, self.unified = model, branches, unified
        self.context = C.llama_init_from_model(model.handle, params)
        self.memory = C.llama_get_memory(self.context)
        self.batch = C.llama_batch_init(512, 0, 1)
        self.samplers = []
        for seed in range(branches):
            chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
            for sampler in (
                C.llama_sampler_init_top_k(40),
                C.llama_sampler_init_top_p(0.95, 1),
                C.llama_sampler_init_temp(0.8),
                C.llama_sampler_init_dist(seed),
            ):
                C.llama_sampler_chain_add(chain, sampler)
            self.samplers.append(chain)

    def close(self) -> None:
        C.llama_batch_free(self.batch)
        C.llama_free(self.context)

    def fill(self, rows: list[tuple[int, int, int]], wanted: bool) -> None:
        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (token, position, sequence) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, wanted

    def run(self, prompt: LongPrompt, tokens: int) -> Timing:
        """The time of ``tokens`` steps of every branch behind the prompt."""
        C.llama_memory_clear(self.memory, True)
        depth = len(prompt.tokens)
        self.fill([(token, i, 0) for i, token in enumerate(prompt.tokens)], False)
        self.batch.logits[depth - 1] = 1
        assert C.llama_decode(self.context, self.batch) == 0
        last = [C.llama_sampler_sample(s, self.context, -1) for s in self.samplers]
        for sequence in range(1, self.branches):
            C.llama_memory_seq_cp(self.memory, 0, sequence, -1, -1)
        started = decoding = 0.0
        for step in range(tokens + 1):
            if step == 1:  # the first step pays for the forks
                started, decoding = time.perf_counter(), self._clock.seconds
            self.fill([(t, depth + step, i) for i, t in enumerate(last)], True)
            assert C.llama_decode(self.context, self.batch) == 0
            last = [C.llama_sampler_sample(s, self.context, i) for i, s in enumerate(self.samplers)]
        return Timing(time.perf_counter() - started, self._clock.seconds - decoding)


class Adascale:
    """The real policy, driven as the driver does it."""

    def __init__(
        self, model: LlamaModel, branches: int, window: int, threads: int, clock: DecodeClock, states: bool
    ) -> None:
        self._clock = clock
        self.context = LlamaContext(model, window, branches, threads, AbortFlag(), states=states)
        chat = ChatFormat(model, "You are a writer.")
        costs = measure(self.context)
        cache = PrefixCache(256 << 20)
        sampling = SamplingParams(max_tokens=window)
        self.policy = LlamaPolicy(self.context, {"prose": chat}, {"prose": sampling}, cache, costs)
        self.branches = branches
        self._next = 0

    def close(self) -> None:
        self.policy.close()
        self.context.close()

    def run(self, prompt: LongPrompt, tokens: int) -> Timing:
        """The time of ``tokens`` steps of every branch."""
        problem = Problem("bench", prompt.question)
        self.policy.open(problem)
        ids = [BranchId(self._next + i) for i in range(self.branches)]
        self._next += self.branches
        for id_ in ids:
            self.policy.start(id_, BranchStart(Prefix(problem), seed=int(id_), until="answer", greedy=False))
        self.policy.advance()
        self.policy.advance()
        started, decoding = time.perf_counter(), self._clock.seconds
        for _ in range(tokens):
            self.policy.advance()
        timing = Timing(time.perf_counter() - started, self._clock.seconds - decoding)
        for id_ in ids:
            self.policy.cancel(id_)
        self.policy.close_problem(problem)
        return timing


def main() -> None:
    args = arguments(__doc__, "model", branches="1,4,8,16,32", tokens=32, rounds=3, threads=physical_cores())
    model = EndlessModel(model_path(args.model))
    prompt = LongPrompt.of(model)
    window = round_window_up(len(prompt.tokens) + args.tokens + 260)
    clock = C.llama_decode = DecodeClock()
    rows, ratios, own, reading = [], {}, {}, {}
    for branches in map(int, args.branches.split(",")):
        contestants: dict[str, BareLoop | Adascale] = {
            "unified": BareLoop(model, branches, window, args.threads, clock, unified=True),
            "streams": BareLoop(model, branches, window, args.threads, clock, unified=False),
            "adascale": Adascale(model, branches, window, args.threads, clock, states=False),
            "reading": Adascale(model, branches, window, args.threads, clock, states=True),
        }
        speeds: dict[str, list[float]] = {name: [] for name in contestants}
        outside: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(args.rounds):
            for name, contestant in contestants.items():
                timing = contestant.run(prompt, args.tokens)
                speeds[name].append(branches * args.tokens / timing.seconds)
                outside[name].append(timing.outside)
        for contestant in contestants.values():
            contestant.close()
        middle = {name: statistics.median(values) for name, values in speeds.items()}
        best = max("unified", "streams", key=lambda name: middle[name])
        ratio = middle["adascale"] / middle[best]
        decoding = {name: 1.0 - statistics.median(shares) for name, shares in outside.items()}
        own[str(branches)] = round(decoding["adascale"] / decoding[best], 3)
        ratios[str(branches)] = round(ratio, 3)
        # Rounds are paired, so that a slow moment of the machine touches both.
        pairs = zip(speeds["reading"], speeds["adascale"], strict=True)
        share = statistics.median(r / a for r, a in pairs)
        reading[str(branches)] = round(share, 3)
        shown = (f"{middle[n]:.1f}" for n in contestants)
        rows.append([str(branches), *shown, f"{ratio:.3f}", f"{own[str(branches)]:.3f}", f"{share:.3f}"])
    table(["branches", "bare unified", "bare streams", "adascale", "reading", "ratio", "own", "share"], rows)
    figures = {"model": args.model, "depth": len(prompt.tokens), "threads": args.threads}
    close({"ratio": ratios, "own": own, "reading": reading, **figures})


if __name__ == "__main__":
    main()
