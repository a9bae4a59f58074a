"""The generator on llama.cpp: many branches of many problems in one decode batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adascale.engine.ports import Growth, Prefix, PrefixWork
from adascale.engine.types import BranchId, Finish, Mode, Problem, Step, Thought, Until

from ..options import SamplingParams
from .branch import Job, Slot
from .chat import ChatFormat
from .prefixes import ParkedPrefix, PrefixCache, Tokens, evaluate_tokens
from .prompts import Prompts
from .runtime import FloatArray, LlamaContext, Run
from .sampling import Sampler, Stream, SurpriseMeter
from .stepcost import Batching
from .thinking import ThoughtProgress

_PAD = (0,)


class LlamaPolicy:
    """Samples steps with llama.cpp; implements ``engine.ports.Policy``.

    Args:
        context: Has one sequence per slot.
        chats: Prompt format of each mode.
        sampling: Sampler of each mode.
        cache: Parked prefixes of this context.
        batching: Decides how a batch is split.
        park_steps: Park the prefix behind each finished step for its children. Without it every child
            evaluates its whole prefix again, so that its tokens do not depend on which siblings ran before.
    """

    def __init__(
        self,
        context: LlamaContext,
        chats: Mapping[Mode, ChatFormat],
        sampling: Mapping[Mode, SamplingParams],
        cache: PrefixCache,
        batching: Batching,
        park_steps: bool = True,
    ) -> None:
        self._context = context
        self._model = context.model
        self._chats = chats
        self._sampling = sampling
        self._cache = cache
        self._batching = batching
        self._park_steps = park_steps
        self._chains = {each: Sampler(each, self._model.vocab_size) for each in sampling.values()}
        self._samplers = {mode: self._chains[each] for mode, each in sampling.items()}
        self._surprise = SurpriseMeter(self._model.vocab_size)
        self._prompts = Prompts(context, chats, sampling, cache)
        self._waiting: list[Job] = []
        self._slots: list[Slot] = []
        self._is_closed = False

    @property
    def flops_per_token(self) -> float:
        """2 x the generator's active parameters."""
        return self._model.flops_per_token

    @property
    def slots(self) -> int:
        """Branches that run at once: one per sequence of the context."""
        return self._context.sequences

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """Evaluate the prompt once and keep it until ``close_problem``; raises as ``Prompts.open``."""
        return self._prompts.open(problem, mode, len(self._slots))

    @property
    def is_busy(self) -> bool:
        """Whether a problem is open."""
        return len(self._prompts) > 0

    def close_problem(self, problem: Problem) -> None:
        """Forget the problem's prefixes."""
        self._prompts.close(problem)

    def start(self, branch: BranchId, prefix: Prefix, seed: int, until: Until, greedy: bool) -> None:
        """Queue a branch; the next ``advance`` gives it a sequence."""
        chat, prompt = self._chats[prefix.mode], self._prompts.tokens(prefix.problem, prefix.mode)
        tokens, ends = list(prompt), [len(chat.head), len(prompt)]
        for step in prefix.steps:
            tokens += step.token_ids
            # A finished step is parked without its last token, which was sampled but not evaluated.
            ends += [len(tokens) - 1, len(tokens)] if self._park_steps else []
        begun = not all(step.is_thought for step in prefix.steps)
        self._waiting.append(
            Job(
                branch,
                tuple(tokens),
                tuple(ends),
                prompt_tokens=len(prompt),
                stream=Stream(None if greedy else seed),
                until=until,
                mode=prefix.mode,
                opening=b"" if begun else chat.opening.encode(),
                thought=self._thought_so_far(prefix),
            )
        )

    def _thought_so_far(self, prefix: Prefix) -> ThoughtProgress | None:
        thoughts = self._chats[prefix.mode].thoughts
        if thoughts is None:
            return None
        return ThoughtProgress(thoughts, self._sampling[prefix.mode].think_tokens, prefix.steps)

    def advance(self) -> Sequence[Growth]:
        """Seat the waiting branches and sample for them; if none were waiting, evaluate a batch.

        A batch holds one token of every branch, so that its shape, and with it the rounding of the kernels,
        does not depend on when which branch was seated.
        """
        self._seat_waiting()
        grown = self._grow_seated() or self._grow_all()
        steps = {sequence: growth.step for sequence, growth in grown.items() if growth.step is not None}
        # An abort raises here, before any branch is freed, so that each is still there to be cancelled.
        for sequence, step in steps.items():
            if step.finish == "step":
                self._evaluate_lead(sequence)
        for sequence in sorted(steps, reverse=True):
            self._end_step(sequence, steps[sequence])
        return list(grown.values())

    def cancel(self, branch: BranchId) -> Step | None:
        """End a branch and return its unfinished step.

        Between two steps it is None; then the prefix before the last step is parked, so that a branch that
        draws this step again need not evaluate it. A policy that is closed has ended all branches.
        """
        if self._is_closed:
            return None
        for job in self._waiting:
            if job.branch == branch:
                self._waiting.remove(job)
                job.stream.close()
                return None
        sequences = [i for i, slot in enumerate(self._slots) if slot.job.branch == branch]
        assert sequences, f"branch {branch} has ended or was never started"
        [sequence] = sequences
        slot = self._slots[sequence]
        partial = slot.take_step("length", slot.open_part) if slot.tokens else None
        if partial is None and self._park_steps:
            self._park_before_last(sequence)
        self._free(sequence)
        return partial

    def close(self) -> None:
        """Free samplers; the context is closed by its owner."""
        for job in [*self._waiting, *(slot.job for slot in self._slots)]:
            job.stream.close()
        self._waiting, self._slots = [], []
        self._is_closed = True
        for sampler in self._chains.values():
            sampler.close()

    def _seat_waiting(self) -> None:
        """Seat branches whose prefix is parked with logits, and for each other prefix one branch, its leader.

        Siblings wait for the leader and fork from what it parks, so that no token is evaluated twice.
        """
        leaders: list[Slot] = []
        waiting: list[Job] = []
        for job in self._waiting:
            found = self._cache.get(job.prefix)
            if found is not None and found.logits is not None:
                cost = PrefixWork(0, len(job.prefix))
                self._seat(Slot(job, list(job.prefix), [], cost, found), found)
            elif any(slot.job.prefix == job.prefix for slot in leaders):
                waiting.append(job)
            else:
                leaders.append(self._leader(job))
        self._waiting = waiting
        for slot in leaders:
            self._seat(slot, self._cache.get(tuple(slot.held)))

    def _leader(self, job: Job) -> Slot:
        held = self._cache.longest(job.prefix, job.boundaries)
        pending = list(job.prefix[len(held) :])
        # The last token of a step is evaluated only now, and was counted when it was sampled.
        sampled = len(job.prefix) > job.prompt_tokens
        return Slot(job, list(held), pending, PrefixWork(len(pending) - sampled, len(held)))

    def _seat(self, slot: Slot, state: ParkedPrefix | None) -> None:
        sequence = len(self._slots)
        if state is None:
            assert not slot.held, "a parked prefix was dropped while it was being seated"
            self._context.clear(sequence)
        else:
            self._context.restore(sequence, state.state)
        self._slots.append(slot)

    def _grow_seated(self) -> dict[int, Growth]:
        """Sample for branches with kept logits, and evaluate the missing end of each leader's prefix."""
        grown: dict[int, Growth] = {}
        for sequence, slot in enumerate(self._slots):
            if slot.parked is not None and slot.parked.logits is not None:
                logits, hidden, slot.parked = slot.parked.logits, slot.parked.hidden, None
                token = self._samplers[slot.job.mode].sample_from(slot.job.stream, logits)
                grown[sequence] = self._grow(slot, token, logits, hidden)
            elif len(slot.pending) > 1:
                row = evaluate_tokens(self._context, sequence, len(slot.held), slot.pending)
                grown[sequence] = self._grow_from_row(sequence, row)
        return grown

    def _grow_all(self) -> dict[int, Growth]:
        """Evaluate one token of each branch, in the cheapest partition, and sample from each row."""
        grown: dict[int, Growth] = {}
        at = 0
        # Padding may use only sequences that no branch holds, and they begin behind the last slot.
        for chunk in self._batching.partition(len(self._slots), self.slots):
            part = range(at, at + chunk.size)
            runs = [Run(s, len(self._slots[s].held), self._slots[s].pending) for s in part]
            padding = range(at + chunk.size, at + chunk.rows)
            for sequence in padding:
                self._context.clear(sequence)  # an interrupt or an abort may have left something there
            self._context.decode([*runs, *(Run(s, 0, _PAD) for s in padding)])
            for row, sequence in enumerate(part):
                grown[sequence] = self._grow_from_row(sequence, row)
            for sequence in padding:
                self._context.clear(sequence)
            at += chunk.size
        return grown

    def _grow_from_row(self, sequence: int, row: int) -> Growth:
        slot = self._slots[sequence]
        slot.hold()
        logits = self._context.logits(row)
        if len(slot.held) == len(slot.job.prefix):
            self._cache.put(slot.job.prefix, ParkedPrefix.with_logits(self._context, sequence, row))
            self._cache.drop_step(slot.job.prefix[:-1])
        token = self._samplers[slot.job.mode].sample(slot.job.stream, self._context, row)
        return self._grow(slot, token, logits, self._context.state(row))

    def _grow(self, slot: Slot, token: int, logits: FloatArray, state: FloatArray | None) -> Growth:
        """Append a sampled token, and end the step if the token completes it."""
        surprise, piece = self._surprise(logits, token), self._model.piece(token)
        if slot.is_inside_thought and self._model.is_end(token):
            slot.observe(surprise, state)  # what closes the thought takes the place of the end of the turn
            return self._grow_thought(slot, "cut", sampled=0)
        slot.push(token, piece, surprise, state)
        if (part := slot.thought_part(piece)) is not None:
            return self._grow_thought(slot, part, sampled=1)
        finish = self._finish(slot, token, piece)
        text = "" if finish else slot.text.decode("utf-8", "replace")
        step = slot.take_step(finish, slot.open_part) if finish else None
        return Growth(slot.job.branch, 1, text, step, slot.take_prefix_cost(), thinks=slot.may_think)

    def _finish(self, slot: Slot, token: int, piece: bytes) -> Finish | None:
        """The reason for which the last token ends the step; None if the step goes on."""
        if not slot.is_inside_thought and (self._model.is_end(token) or slot.closes_program(piece)):
            return "stop"
        if self._is_spent(slot):
            return "length"
        return "step" if not slot.is_inside_thought and slot.at_delimiter(piece) else None

    def _is_spent(self, slot: Slot, more: int = 0) -> bool:
        """Whether a branch has no room left for a solution behind ``more`` tokens."""
        max_tokens = self._sampling[slot.job.mode].max_tokens
        return slot.solution_tokens() >= max_tokens or slot.length() + more >= self._context.window

    def _grow_thought(self, slot: Slot, part: Thought, *, sampled: int) -> Growth:
        """End a step of a thought; at the end of the thought append the tokens that lead to the answer."""
        assert slot.job.thought is not None, "a thought without tags"
        lead, text = slot.job.thought.form.following(part)
        if self._is_spent(slot, len(lead)):  # it thinks again and again
            lead, step = (), slot.take_step("length", "part")
        else:
            slot.append(lead, text)
            step = slot.take_step("step", part)
        return Growth(slot.job.branch, sampled + len(lead), "", step, slot.take_prefix_cost())

    def _end_step(self, sequence: int, step: Step) -> None:
        """Park a finished step that may be continued, and free the sequence of a branch that ended."""
        slot = self._slots[sequence]
        if step.finish == "step":
            if slot.job.until == "answer":
                return
            if self._park_steps:
                self._park(sequence, tuple(slot.held))
        self._free(sequence)

    def _evaluate_lead(self, sequence: int) -> None:
        """Evaluate the tokens appended behind a thought except the last one, as after any other step."""
        slot = self._slots[sequence]
        *lead, last = slot.pending
        if lead:
            evaluate_tokens(self._context, sequence, len(slot.held), lead)
            slot.held += lead
            slot.pending = [last]

    def _park_before_last(self, sequence: int) -> None:
        slot = self._slots[sequence]
        before = slot.length() - slot.last_step_tokens
        # The last token of a prefix is never in its snapshot: a branch evaluates it in its first batch.
        if before > len(slot.job.prefix) and self._context.shorten(sequence, before - 1):
            self._park(sequence, tuple(slot.held[: before - 1]))

    def _park(self, sequence: int, held: Tokens) -> None:
        """Park a sequence without logits, unless its tokens are parked: a step of one token adds none."""
        if self._cache.get(held) is None:
            self._cache.put(held, ParkedPrefix(self._context.snapshot(sequence), None))

    def _free(self, sequence: int) -> None:
        """End a slot; the last slot moves into its sequence, so that sequence ids have no gaps."""
        self._slots[sequence].job.stream.close()
        last = len(self._slots) - 1
        if sequence != last:
            self._context.restore(sequence, self._context.snapshot(last))
            self._slots[sequence] = self._slots[last]
        self._slots.pop()
        self._context.clear(last)
