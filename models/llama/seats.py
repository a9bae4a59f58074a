"""The branches that hold the sequences of a context: seated, parked, and freed without gaps in the ids."""

from __future__ import annotations

from adascale.engine.errors import MemoryOverflowError
from adascale.engine.ports import PrefixWork
from adascale.engine.types import BranchId, Step

from .branch import Job, Slot
from .prefixes import ParkedPrefix, PrefixCache, Tokens
from .runtime import LlamaContext


class Seats:
    """The branches of a context: those that wait for a sequence, and those that have one.

    Args:
        context: Has one sequence per slot.
        cache: Parked prefixes of the context.
        park_steps: Park the prefix behind each finished step.

    Attributes:
        waiting: Branches without a sequence, in the order in which they came.
        slots: Branches with a sequence, whose id is the index of the slot.
    """

    def __init__(self, context: LlamaContext, cache: PrefixCache, park_steps: bool) -> None:
        self._context = context
        self._cache = cache
        self._park_steps = park_steps
        self.waiting: list[Job] = []
        self.slots: list[Slot] = []

    def seat_waiting(self) -> None:
        """Seat branches whose prefix is parked with logits, and for each other prefix one branch, its leader.

        Siblings wait for the leader and fork from what it parks, so that no token is evaluated twice.
        """
        leaders: list[Slot] = []
        room = self._room()
        waiting = self.waiting[room:]
        for job in self.waiting[:room]:
            found = self._cache.get(job.prefix)
            if found is not None and found.logits is not None:
                cost = PrefixWork(0, len(job.prefix))
                self._seat(Slot(job, list(job.prefix), [], cost, found), found)
            elif any(slot.leads(job.prefix) for slot in (*self.slots, *leaders)):
                waiting.append(job)
            else:
                leaders.append(self._leader(job))
        self.waiting = waiting
        for slot in leaders:
            self._seat(slot, self._cache.get(tuple(slot.held)))

    def park_prefix(self, sequence: int, row: int) -> None:
        """Park the whole prefix of a leader, whose last token is that row of the last batch."""
        prefix = self.slots[sequence].job.prefix
        self._cache.put(prefix, ParkedPrefix.with_logits(self._context, sequence, row))
        self._cache.drop_step(prefix[:-1])

    def end_step(self, sequence: int, step: Step) -> None:
        """Park a finished step that may be continued, and free the sequence of a branch that ended."""
        slot = self.slots[sequence]
        if step.finish == "step":
            if slot.job.start.until == "answer":
                return
            if self._park_steps:
                self._park(sequence, tuple(slot.held))
        elif slot.job.is_reply:
            self._park(sequence, tuple(slot.held))
        self._free(sequence)

    def cancel(self, id_: BranchId) -> None:
        """End a branch.

        Between two steps the prefix before the last step is parked, so that a branch that draws this step
        again need not evaluate it.
        """
        for job in self.waiting:
            if job.id == id_:
                self.waiting.remove(job)
                job.close()
                return
        sequences = [i for i, slot in enumerate(self.slots) if slot.job.id == id_]
        assert sequences, f"branch {id_} has ended or was never started"
        [sequence] = sequences
        slot = self.slots[sequence]
        if slot.job.is_reply:  # an aborted batch may have left more than is held
            if self._context.shorten(sequence, len(slot.held)):
                self._park(sequence, tuple(slot.held))
        elif not slot.tokens and self._park_steps:
            self._park_before_last(sequence)
        self._free(sequence)

    def close(self) -> None:
        """Forget all branches."""
        for job in [*self.waiting, *(slot.job for slot in self.slots)]:
            job.close()
        self.waiting, self.slots = [], []

    def _room(self) -> int:
        """How many of the waiting branches may run now: all, or fewer if memory is short."""
        wanted = len(self.waiting)
        while wanted:
            longest = max(len(job.prefix) for job in self.waiting[:wanted])
            try:
                self._context.reserve(len(self.slots) + wanted, longest + 1)
            except MemoryOverflowError:
                if not self.slots and wanted == 1:
                    raise
                wanted //= 2
            else:
                break
        return wanted

    def _leader(self, job: Job) -> Slot:
        held = self._cache.longest(job.prefix, job.boundaries)
        pending = list(job.prefix[len(held) :])
        # The last token of a step is evaluated only now, and was counted when it was sampled.
        sampled = len(job.prefix) > job.prompt_tokens
        return Slot(job, list(held), pending, PrefixWork(len(pending) - sampled, len(held)))

    def _seat(self, slot: Slot, state: ParkedPrefix | None) -> None:
        sequence = len(self.slots)
        if state is None:
            assert not slot.held, "a parked prefix was dropped while it was being seated"
            self._context.clear(sequence)
        else:
            self._context.restore(sequence, state.state)
        self.slots.append(slot)

    def _park_before_last(self, sequence: int) -> None:
        slot = self.slots[sequence]
        before = slot.length() - slot.last_step_tokens
        # The last token of a prefix is never in its snapshot: a branch evaluates it in its first batch.
        if before > len(slot.job.prefix) and self._context.shorten(sequence, before - 1):
            self._park(sequence, tuple(slot.held[: before - 1]))

    def _park(self, sequence: int, held: Tokens) -> None:
        """Park a sequence without logits, unless its tokens are parked: a step of one token adds none."""
        if self._cache.get(held) is None:
            self._cache.put(held, ParkedPrefix(self._context.snapshot(sequence)))

    def _free(self, sequence: int) -> None:
        """End a slot; the last slot moves into its sequence, so that sequence ids have no gaps."""
        self.slots[sequence].job.close()
        last = len(self.slots) - 1
        if sequence != last:
            self._context.restore(sequence, self._context.snapshot(last))
            self.slots[sequence] = self.slots[last]
        self.slots.pop()
        self._context.clear(last)
