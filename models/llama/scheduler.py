"""The scheduler: which branches wait, which have a KV sequence, and which prefixes they leave parked."""

from __future__ import annotations

from adascale.engine.ports import PrefixWork
from adascale.engine.types import BranchId, Finish

from .context import LlamaContext
from .prefixes import PrefixCache
from .sequence import Sequence


class Scheduler:
    """The branches of a context, with or without a KV sequence.

    Args:
        context: The context with the KV sequences.
        cache: Parked prefixes of the context.
        park_steps: Park the prefix behind each finished step.

    Attributes:
        waiting: Branches without a KV sequence, in the order of their arrival.
        running: Branches with one, each at the index of its KV sequence.
    """

    def __init__(self, context: LlamaContext, cache: PrefixCache, park_steps: bool) -> None:
        self._context = context
        self._cache = cache
        self._park_steps = park_steps
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []

    def schedule(self) -> tuple[list[Sequence], bool]:
        """Admit waiting branches, and choose the branches of the next batch.

        Branches that need a prefill come first: they sample their first token from parked logits, or evaluate
        more than one token. Otherwise the batch has all running branches. So the shape of a batch, and with
        it the rounding of kernels, does not depend on the order in which branches arrive.

        Returns:
            The branches, and True if they need a prefill.
        """
        waiting, self.waiting = self.waiting, []
        for sequence in waiting:
            if len(self.running) == self._context.sequences or not self._admit(sequence):
                self.waiting.append(sequence)
        prefill = [sequence for sequence in self.running if sequence.parked or len(sequence.pending) > 1]
        return prefill or list(self.running), bool(prefill)

    def postprocess(self, ended: list[tuple[Sequence, Finish]]) -> None:
        """Park finished steps that may be continued, and free the KV sequences of branches that ended."""
        # An abort raises here, before any branch is freed, so that all can still be cancelled.
        for sequence, finish in ended:
            lead = sequence.pending[:-1]
            if finish == "step" and lead:  # the tokens that close a thought
                self._context.evaluate(sequence.kv, sequence.evaluated, lead)
                sequence.evaluated += len(lead)
        for sequence, finish in reversed(ended):
            if finish == "step" and sequence.start.until == "answer":
                continue
            if self._park_steps if finish == "step" else sequence.is_reply:
                self._park(sequence, sequence.evaluated)
            self._free(sequence)

    def cancel(self, id_: BranchId) -> None:
        """End a branch; does nothing if it has ended.

        A reply is parked. Between two steps, the prefix before the last step is parked, so that a branch that
        draws this step again need not evaluate it.
        """
        self.waiting = [sequence for sequence in self.waiting if sequence.id != id_]
        sequence = next((sequence for sequence in self.running if sequence.id == id_), None)
        if sequence is None:
            return
        *_, before, begin = (0, *sequence.begins)
        length = 0
        if sequence.is_reply:
            length = sequence.evaluated  # an aborted batch may have left more
        elif self._park_steps and begin == len(sequence.tokens) and before > len(sequence.prefix):
            # A snapshot never has the last token of a prefix: a branch evaluates it in its first batch.
            length = before - 1
        if length and self._context.shorten(sequence.kv, length):
            self._park(sequence, length)
        self._free(sequence)

    def spare(self) -> int:
        """A free KV sequence; if there is none, the last branch gives up its own and waits."""
        if len(self.running) == self._context.sequences:
            sequence = self.running.pop()
            if sequence.parked is None:
                sequence.parked = self._context.snapshot(sequence.kv)
            self.waiting.insert(0, sequence)
        return len(self.running)

    def _admit(self, sequence: Sequence) -> bool:
        """Let a branch run; False if another branch is evaluating the same prefix.

        Branches with one prefix wait for the first of them and fork from its snapshot, so that no token is
        evaluated twice.
        """
        prefix, snapshot = sequence.prefix, sequence.parked
        if snapshot is None:
            parked, snapshot = prefix, self._cache.get(prefix)
            if snapshot is None or snapshot.logits is None:
                if any(other.prefix == prefix and other.evaluated < len(prefix) for other in self.running):
                    return False
                parked = self._cache.longest(prefix, sequence.ends)
                snapshot = self._cache.get(parked)
            # The last token of a step is evaluated only now, but was counted when it was sampled.
            fixed = len(parked) + (len(prefix) > sequence.prompt_tokens)
            sequence.cost = PrefixWork(max(0, len(prefix) - fixed), len(parked))
            sequence.evaluated = len(parked)
        sequence.kv = len(self.running)
        self.running.append(sequence)
        if snapshot is None:
            self._context.clear(sequence.kv)
        else:
            self._context.restore(sequence.kv, snapshot)
        sequence.parked = None if sequence.pending else snapshot
        return True

    def _park(self, sequence: Sequence, length: int) -> None:
        """Park the first ``length`` tokens without logits, unless they are parked already."""
        prefix = tuple(sequence.tokens[:length])
        if self._cache.get(prefix) is None:
            self._cache.put(prefix, self._context.snapshot(sequence.kv))

    def _free(self, sequence: Sequence) -> None:
        """End a branch; the last one moves into its KV sequence, so that the ids have no gaps."""
        last = self.running.pop()
        if last is not sequence:
            self._context.restore(sequence.kv, self._context.snapshot(last.kv))
            self.running[sequence.kv] = last
        self._context.clear(last.kv)
        last.kv = sequence.kv
