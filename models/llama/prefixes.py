"""Evaluated prefixes, each evaluated once, and the prompts that they begin with.

A prefix is evaluated again only if memory ran out meanwhile. Prompts are read once, kept while their problem
is searched, and forgotten at its end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from adascale.engine.errors import ContextOverflowError, human_bytes, setting
from adascale.engine.kinds import Look, kind_of, prompt_of
from adascale.engine.ports import PrefixWork, Seen
from adascale.engine.tools.calls import ToolRequest
from adascale.engine.types import MODES, Mode, Problem, PromptName, Reading, Turn

from ..options import SamplingParams, round_window_up
from .chat import ChatFormat
from .context import MAX_BATCH_TOKENS, LlamaContext, Run, Snapshot
from .model import MAX_TOKEN_BYTES, LlamaModel
from .tool_prompt import ToolFormat

Tokens = tuple[int, ...]


class PrefixCache:
    """Parked prefixes by their tokens. The least recently used are dropped first; pinned ones stay.

    Args:
        capacity_bytes: Host memory for all entries and their keys. Pinned entries count, even beyond it.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._parked: dict[Tokens, Snapshot] = {}  # the most recently used is the last
        self._pinned: set[Tokens] = set()

    def get(self, tokens: Tokens) -> Snapshot | None:
        """The entry for exactly these tokens."""
        found = self._parked.pop(tokens, None)
        if found is not None:
            self._parked[tokens] = found
        return found

    def put(self, tokens: Tokens, parked: Snapshot, *, pin: bool = False) -> None:
        """Keep an entry, and drop older ones until it fits."""
        self.drop(tokens)
        self._parked[tokens] = parked
        self._pinned |= {tokens} if pin else set()
        sizes = {key: each.nbytes + sys.getsizeof(key) for key, each in self._parked.items()}
        excess = sum(sizes.values()) - self._capacity
        for key in [key for key in sizes if key not in self._pinned and key != tokens]:
            if excess > 0:
                excess -= sizes[key]
                self.drop(key)

    def drop(self, tokens: Tokens) -> None:
        """Forget an entry, pinned or not."""
        self._parked.pop(tokens, None)
        self._pinned.discard(tokens)

    def drop_below(self, tokens: Tokens) -> None:
        """Forget every entry that goes on from these tokens, but for pinned ones: others need them."""
        for key in self._parked.keys() - self._pinned:
            if len(key) > len(tokens) and key[: len(tokens)] == tokens:
                self.drop(key)

    def unpin(self, tokens: Tokens) -> None:
        """Let an entry be dropped when others need its room."""
        self._pinned.discard(tokens)

    def most_shared(self, tokens: Tokens) -> tuple[Tokens, int]:
        """The entry that has most tokens in common with ``tokens``, and their number, below that of all."""
        shared = {key: common_length(key, tokens) for key in self._parked}
        longest = max(shared, key=lambda key: (shared[key], -len(key)), default=())
        return longest, min(shared.get(longest, 0), len(tokens) - 1)

    def longest(self, tokens: Tokens, boundaries: Iterable[int] | None = None) -> Tokens:
        """The longest parked prefix that is shorter than ``tokens`` and ends at one of the boundaries.

        Without boundaries it may end anywhere; empty if there is none.
        """
        lengths = map(len, self._parked) if boundaries is None else boundaries
        found = (tokens[:length] for length in lengths if 0 < length < len(tokens))
        return max((each for each in found if each in self._parked), key=len, default=())


def common_length(a: Tokens, b: Tokens) -> int:
    """Number of tokens that both begin with."""
    differ = (at for at, (one, other) in enumerate(zip(a, b, strict=False)) if one != other)
    return next(differ, min(len(a), len(b)))


def evaluate_tokens(context: LlamaContext, sequence: int, start: int, tokens: Sequence[int]) -> int:
    """Append tokens to a sequence in as many batches as they need; returns the row of the last logits.

    If the context keeps hidden states, the last token is evaluated by itself to get its own.
    """
    context.reserve(sequence + 1, start + len(tokens))
    row, alone = 0, int(context.states)
    starts = [*range(0, len(tokens) - alone, MAX_BATCH_TOKENS), *([len(tokens) - 1] if alone else [])]
    for at, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        context.decode([Run(sequence, start + at, tokens[at:end])])
        row = end - at - 1
    return row


def read_prompt(
    context: LlamaContext, cache: PrefixCache, sequence: int, head: Tokens | None, prompt: Tokens
) -> PrefixWork:
    """Evaluate a prompt as ``evaluate_prompt``, park and pin it; the sequence is empty afterwards."""
    row, reused = evaluate_prompt(context, cache, sequence, head, prompt)
    parked = context.snapshot(sequence, row)
    cache.put(prompt, parked, pin=True)
    context.clear(sequence)
    return PrefixWork(len(prompt) - reused, reused, Reading(parked.hidden, parked.hidden))


def evaluate_prompt(
    context: LlamaContext, cache: PrefixCache, sequence: int, head: Tokens | None, prompt: Tokens
) -> tuple[int, int]:
    """Evaluate what a prompt adds to a parked prefix.

    Args:
        context: Has ``sequence`` free.
        cache: Parked prefixes of the context.
        sequence: Sequence that evaluates the prompt, and holds it afterwards.
        head: Tokens that it begins with, as other prompts do, which are parked and pinned; may be empty. None
            goes on from the prefix that has most in common with the prompt: a reply that was sampled in other
            tokens than those its text has is read again from there on.
        prompt: The whole prompt.

    Returns:
        The row of its logits, and the tokens that had been evaluated before.
    """
    shared = None if head is None else cache.get(head)
    if head is None:
        held = reused = _restore_shared(context, cache, sequence, prompt)
    elif shared is not None:
        context.restore(sequence, shared)
        held = reused = len(head)
    else:
        context.clear(sequence)
        held, reused = len(head), 0
        if head:
            evaluate_tokens(context, sequence, 0, head)
            cache.put(head, context.snapshot(sequence), pin=True)
    return evaluate_tokens(context, sequence, held, prompt[held:]), reused


def _restore_shared(context: LlamaContext, cache: PrefixCache, sequence: int, prompt: Tokens) -> int:
    """Restore the longest beginning of a prompt that can be; returns its number of tokens."""
    beginning = cache.longest(prompt)
    for key, length in (cache.most_shared(prompt), (beginning, len(beginning))):
        parked = cache.get(key)
        if parked is not None and length:
            context.restore(sequence, parked)
            if length == len(key) or context.shorten(sequence, length):
                return length
    context.clear(sequence)
    return 0


ANSWER_RESERVE = 256
"""Tokens that must stay free behind a prompt."""


class Prompts:
    """Prompts by problem and mode, parked in a cache of prefixes.

    Args:
        context: Evaluates them.
        chats: Format of each prompt.
        sampling: Sampler of each prompt, with the budget of its thoughts.
        cache: Parked prefixes of the context.
        spare: Gives a free KV sequence of the context; it is empty afterwards.
    """

    def __init__(
        self,
        context: LlamaContext,
        chats: Mapping[PromptName, ChatFormat],
        sampling: Mapping[PromptName, SamplingParams],
        cache: PrefixCache,
        spare: Callable[[], int],
    ) -> None:
        self._context = context
        self._info = context.model.info
        self._chats = chats
        self._sampling = sampling
        self._cache = cache
        self._spare = spare
        self._tokens: dict[tuple[str, Mode], Tokens] = {}
        self._last_look: tuple[str, Tokens, Snapshot] | None = None

    def __len__(self) -> int:
        return len(self._tokens)

    def tokens(self, problem: Problem, mode: Mode) -> Tokens:
        """The tokens of an open prompt."""
        return self._tokens[problem.id, mode]

    def open(self, problem: Problem, mode: Mode) -> PrefixWork:
        """Evaluate a prompt, unless it is parked, and pin it.

        A conversation goes on from its last turn, if this is still parked. A question alone is always read
        alike, since what is drawn for a seed must not depend on what was asked before.

        Args:
            problem: Has the question, and the conversation before it.
            mode: How trajectories will reason.

        Raises:
            ContextOverflowError: fewer than ``ANSWER_RESERVE`` tokens would stay free.
            UsageError: the model's chat template has no place for the turns before the question.
        """
        name = prompt_of(problem.kind, mode)
        chat, statement = self._chats[name], kind_of(problem).statement(problem)
        self._check_length(statement, problem.history)
        tokens = self._write(chat, problem, statement, with_tools=mode == "call")
        thought = 0 if problem.is_raw else self._sampling[name].think_tokens
        self._check_fit(len(tokens), chat, thought, problem.history)
        self._tokens[problem.id, mode] = tokens
        parked = self._cache.get(tokens)
        if parked is not None and parked.logits is not None:  # a finished reply is parked without
            self._cache.put(tokens, parked, pin=True)
            return PrefixWork(0, len(tokens), Reading(parked.hidden, parked.hidden))
        head = _shared_head(problem, chat, tokens)
        return read_prompt(self._context, self._cache, self._spare(), head, tokens)

    def _write(
        self, chat: ChatFormat, problem: Problem, statement: str, *, with_tools: bool, behind: str = ""
    ) -> Tokens:
        if isinstance(chat, ToolFormat):
            request = ToolRequest.of(problem.details)
            return chat.request_prompt(request, with_tools=with_tools, behind=behind)
        if problem.is_raw and not behind:
            return chat.raw_prompt(statement, str(problem.details["suffix"]))
        return (chat.chat_prompt if problem.is_chat else chat.prompt)(statement, problem.history)

    def look(self, look: Look, problem: Problem) -> Seen:
        """Read options from the logits behind a prompt; that of a conversation stays while there is room.

        Args:
            look: The prompt, and the words that stand for the options.
            problem: The question, with the conversation before it.

        Raises:
            ContextOverflowError: as ``open``.
        """
        chat, model, history = self._chats[look.prompt], self._context.model, problem.history
        self._check_length(look.text, history)
        tokens = self._write(chat, problem, look.text, with_tools=True, behind=look.text)
        self._check_fit(len(tokens), chat, 0, history)
        head, sequence = _shared_head(problem, chat, tokens), self._spare()
        if head is None:
            row, reused = evaluate_prompt(self._context, self._cache, sequence, head, tokens)
            self._cache.put(tokens, self._context.snapshot(sequence))
        else:
            row, reused = self._evaluate_look(problem, sequence, head, tokens)
        logits = self._context.logits(row)
        scores = [
            np.logaddexp.reduce([logits[token] for token in _first_tokens(model, word)])
            for word in look.words
        ]
        total = np.logaddexp.reduce(scores)
        self._context.clear(sequence)
        return Seen(tuple(float(score - total) for score in scores), len(tokens) - reused, reused)

    def _evaluate_look(
        self, problem: Problem, sequence: int, head: Tokens, tokens: Tokens
    ) -> tuple[int, int]:
        """Evaluate a look as ``evaluate_prompt``, or what it adds to the last one at the same question.

        None goes on from a look at another question, so that it sees the same whatever was asked before.
        """
        if self._last_look is not None and self._last_look[0] == problem.id:
            _, before, state = self._last_look
            shared = min(common_length(before, tokens), len(tokens) - 1)
            self._context.restore(sequence, state)
            if self._context.shorten(sequence, shared):
                return evaluate_tokens(self._context, sequence, shared, tokens[shared:]), shared
        row, reused = evaluate_prompt(self._context, self._cache, sequence, head, tokens)
        self._last_look = problem.id, tokens, self._context.snapshot(sequence)
        return row, reused

    def close(self, problem: Problem) -> None:
        """Forget a problem's prefixes; those of a conversation stay for its next turn while there is room.

        They are its prompts, and of a plain reply also its end.
        """
        if self._last_look is not None and self._last_look[0] == problem.id:
            self._last_look = None
        for mode in MODES:
            tokens = self._tokens.pop((problem.id, mode), None)
            if tokens is None or tokens in self._tokens.values():
                continue
            if not problem.is_chat:
                self._cache.drop_below(tokens)
            if _is_conversation(problem):
                self._cache.unpin(tokens)
            else:
                self._cache.drop(tokens)

    def _check_length(self, statement: str, history: Sequence[Turn]) -> None:
        """Refuse texts that cannot fit before they are tokenized: 100 MB would take 6 GB of memory."""
        texts = (statement, *(turn.content for turn in history))
        size = sum(len(text.encode()) for text in texts)
        if size > MAX_TOKEN_BYTES * self._context.window:
            raise ContextOverflowError(
                f"the question has {human_bytes(size)}, more than any {self._context.window:,} tokens",
                "the context has room for these; nothing was cut off",
                hint="a shorter question",
            )

    def _check_fit(self, prompt_tokens: int, chat: ChatFormat, budget: int, history: Sequence[Turn]) -> None:
        thought = budget + len(chat.thoughts.cut) if chat.thoughts is not None and budget else 0
        window, allowed = self._context.window, self._info.context_length
        needed = prompt_tokens + thought + ANSWER_RESERVE
        if needed <= window:
            return
        before = f"{thought:,} for the thought and " if thought else ""
        limit, hint = f"the model allows {allowed:,} tokens", "a shorter question, or another model"
        if (larger := round_window_up(needed)) <= allowed:
            more = human_bytes((larger - window) * self._context.sequences * self._info.kv_bytes_per_token)
            limit, hint = f"{limit}; {larger:,} take about {more} more memory", setting("ctx_size", larger)
        asked = "the conversation with this question" if history else "the question"
        raise ContextOverflowError(
            f"{asked} has {prompt_tokens:,} tokens, the context has room for {window:,}",
            f"nothing was cut off; at least {before}{ANSWER_RESERVE} tokens must stay free for the answer",
            limit,
            hint=hint,
        )


def _is_conversation(problem: Problem) -> bool:
    """True for a chat, a request with tools, and a question that has replies before it."""
    has_reply = any(turn.role == "assistant" for turn in problem.history)
    return problem.is_chat or problem.kind == "call" or has_reply


def _shared_head(problem: Problem, chat: ChatFormat, prompt: Tokens) -> Tokens | None:
    """Tokens that a prompt has in common with all of its format; None in a conversation, which goes on."""
    if _is_conversation(problem):
        return None
    return chat.head if prompt[: len(chat.head)] == chat.head else ()


def _first_tokens(model: LlamaModel, word: str) -> set[int]:
    """Tokens that a reply that begins with a word may begin with."""
    spellings = (word, word.lower(), f" {word}") if len(word) > 1 else (word, f" {word}")
    return {model.tokenize(spelling, special=False, follows=True)[0] for spelling in spellings}
