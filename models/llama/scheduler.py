"""The scheduler: which branches wait, which have a KV sequence, and which prefixes they leave parked."""

from __future__ import annotations

from adascale.engine.ports import PrefixWork
from adascale.engine.types import BranchId, Finish

from .context import LlamaContext
from .prefixes import PrefixCache, evaluate_tokens
from .sequence import Sequence


class Scheduler:
    """The branches of a context: those that wait for a KV sequence, and those that have one.

    Args:
        context: Has the KV sequences.
        cache: Parked prefixes of the context.
        park_steps: Park the prefix behind each finished step.

    Attributes:
        waiting: Branches without a KV sequence, in the order in which they came.
        running: Branches with one, at the index of their KV sequence.
    """

    def __init__(self, context: LlamaContext, cache: PrefixCache, park_steps: bool) -> None:
        self._context = context
        self._cache = cache
        self._park_steps = park_steps
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []

    def schedule(self) -> tuple[list[Sequence], bool]:
        """Let the waiting branches run, and choose what the next batch is for.

        It is for branches that have more or less than one token to evaluate, if there are any: their first
        token is sampled from kept logits, or a prefix has to be evaluated. Else it is for all that run: the
        shape of a batch, and with it the rounding of kernels, does not depend on when which branch came.

        Returns:
            The branches, and True if they are of the first sort.
        """
        waiting, self.waiting = self.waiting, []
        for sequence in waiting:
            if len(self.running) == self._context.sequences or not self._admit(sequence):
                self.waiting.append(sequence)
        unread = [each for each in self.running if each.parked or len(each.pending) > 1]
        return unread or list(self.running), bool(unread)

    def postprocess(self, ended: list[tuple[Sequence, Finish]]) -> None:
        """Park finished steps that may be continued, and free the KV sequences of branches that ended."""
        # An abort raises here, before any branch is freed, so that each is still there to be cancelled.
        for sequence, finish in ended:
            lead = sequence.pending[:-1]
            if finish == "step" and lead:  # what follows a thought
                evaluate_tokens(self._context, sequence.kv, sequence.evaluated, lead)
                sequence.evaluated += len(lead)
        for sequence, finish in reversed(ended):
            if finish == "step" and sequence.start.until == "answer":
                continue
            if self._park_steps if finish == "step" else sequence.is_reply:
                self._park(sequence, sequence.evaluated)
            self._free(sequence)

    def cancel(self, id_: BranchId) -> None:
        """End a branch, unless it has ended.

        That of a reply is parked. Between two steps the prefix before the last step is, so that a branch that
        draws this step again need not evaluate it.
        """
        self.waiting = [each for each in self.waiting if each.id != id_]
        sequence = next((each for each in self.running if each.id == id_), None)
        if sequence is None:
            return
        *_, before, begin = (0, *sequence.begins)
        length = 0
        if sequence.is_reply:
            length = sequence.evaluated  # an aborted batch may have left more
        elif self._park_steps and begin == len(sequence.tokens) and before > len(sequence.prefix):
            # The last token of a prefix is never in its snapshot: a branch evaluates it in its first batch.
            length = before - 1
        if length and self._context.shorten(sequence.kv, length):
            self._park(sequence, length)
        self._free(sequence)

    def spare(self) -> int:
        """A KV sequence that no branch has; where there is none, the last branch gives its own back."""
        if len(self.running) == self._context.sequences:
            sequence = self.running.pop()
            if sequence.parked is None:
                sequence.parked = self._context.snapshot(sequence.kv)
            self.waiting.insert(0, sequence)
        return len(self.running)

    def _admit(self, sequence: Sequence) -> bool:
        """Let a branch run: from its parked prefix, or as the leader of those that have the same one.

        Others wait for the leader and fork from what it parks, so that no token is evaluated twice.
        """
        prefix, parked = sequence.prefix, sequence.parked
        if parked is None:
            held, parked = prefix, self._cache.get(prefix)
            if parked is None or parked.logits is None:
                if any(each.prefix == prefix and each.evaluated < len(prefix) for each in self.running):
                    return False
                held = self._cache.longest(prefix, sequence.ends)
                parked = self._cache.get(held)
            # The last token of a step is evaluated only now, and was counted when it was sampled.
            counted = len(held) + (len(prefix) > sequence.prompt_tokens)
            sequence.cost = PrefixWork(max(0, len(prefix) - counted), len(held))
            sequence.evaluated = len(held)
        sequence.kv = len(self.running)
        self.running.append(sequence)
        if parked is None:
            self._context.clear(sequence.kv)
        else:
            self._context.restore(sequence.kv, parked)
        sequence.parked = None if sequence.pending else parked
        return True

    def _park(self, sequence: Sequence, length: int) -> None:
        """Park that many tokens without logits, unless they are parked: a step of one token adds none."""
        held = tuple(sequence.tokens[:length])
        if self._cache.get(held) is None:
            self._cache.put(held, self._context.snapshot(sequence.kv))

    def _free(self, sequence: Sequence) -> None:
        """End a branch; the last one moves into its KV sequence, so that the ids have no gaps."""
        last = self.running.pop()
        if last is not sequence:
            self._context.restore(sequence.kv, self._context.snapshot(last.kv))
            self.running[sequence.kv] = last
        self._context.clear(last.kv)
        last.kv = sequence.kv
