"""The generator on llama.cpp: many branches of many problems in one decode batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from adascale.engine.errors import ContextOverflowError, UsageError, setting
from adascale.engine.kind_table import entry_of
from adascale.engine.kinds import OptionsPrompt, kind_of, prompt_of
from adascale.engine.ports import BranchStart, Growth, OptionLogits, PrefixWork
from adascale.engine.tools.calls import MARKERS, ToolRequest
from adascale.engine.types import (
    MODES,
    BranchId,
    Mode,
    Problem,
    PromptName,
    Reading,
)

from ..options import Samplers, round_window_up, spellings
from .calls import CallWriter, Rules, call_rules, object_rules
from .chat import ChatFormat, ToolFormat
from .context import FloatArray, LlamaContext
from .model import MAX_TOKEN_BYTES, LlamaModel
from .prefixes import PrefixCache, Tokens, common_length
from .runner import ModelRunner
from .scheduler import Scheduler
from .sequence import Sequence
from .stepcost import StepCosts
from .thinking import ThoughtProgress

ANSWER_RESERVE = 256
"""Least free tokens of the window behind a prompt."""


class LlamaPolicy:
    """Samples steps with llama.cpp; implements ``engine.ports.Policy``.

    Args:
        context: The context, with one KV sequence per running branch.
        chats: Format of each prompt.
        sampling: Sampler of each prompt.
        cache: Parked prefixes of this context.
        costs: As in ``ModelRunner``.
        park_steps: Park the prefix behind each finished step for its children. Otherwise every child
            evaluates its whole prefix again, so that its tokens do not depend on earlier siblings.
    """

    def __init__(
        self,
        context: LlamaContext,
        chats: Mapping[PromptName, ChatFormat],
        sampling: Samplers,
        cache: PrefixCache,
        costs: StepCosts | None,
        park_steps: bool = True,
    ) -> None:
        self._context = context
        self._model = context.model
        self._chats = chats
        self._sampling = sampling
        self._park_steps = park_steps
        self._scheduler = Scheduler(context, cache, park_steps)
        self._runner = ModelRunner(context, cache, costs, self.slots + len(sampling))
        self._cache = cache
        self._tokens: dict[tuple[str, Mode], Tokens] = {}  # of open prompts
        self._looks: dict[str, Tokens] = {}  # the last prompt of options of each open problem
        self._rules: dict[tuple[str, Mode], Rules] = {}
        self._is_closed = False
        for marker in MARKERS:  # a call begins behind a marker, which may be a control token
            self._model.spell_out(self._model.tokenize(marker, special=True))

    @property
    def flops_per_token(self) -> float:
        """2 x the generator's active parameters."""
        return self._model.flops_per_token

    @property
    def slots(self) -> int:
        """Most branches that run at once: one per sequence of the context."""
        return self._context.sequences

    @property
    def is_busy(self) -> bool:
        """True while a problem is open."""
        return bool(self._tokens)

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """Evaluate a prompt, unless it is parked, and pin it until ``close_problem``.

        A conversation reuses its last turn, if this is still parked. A question alone always reuses the same
        tokens, since its draws must not depend on earlier questions.

        Raises:
            ContextOverflowError: fewer than ``ANSWER_RESERVE`` tokens would stay free.
            UsageError: the model's chat template does not show the turns before the question, or the schema
                of a tool cannot be made a grammar.
        """
        if mode == "call":
            self._rules[problem.id, mode] = call_rules(self._model, ToolRequest.of(problem.details))
        elif isinstance(schema := problem.details.get("schema"), dict):
            self._rules[problem.id, mode] = object_rules(self._model, schema)
        name = prompt_of(problem.kind, mode)
        chat, statement = self._chats[name], kind_of(problem).statement(problem)
        tokens = self._prompt(chat, problem, statement, with_tools=mode == "call")
        self._tokens[problem.id, mode] = tokens
        snapshot, reused = self._cache.get(tokens), len(tokens)
        if snapshot is None or snapshot.logits is None:  # the snapshot of a finished reply has none
            row, reused, sequence = self._evaluate(chat, problem, tokens)
            snapshot = self._context.snapshot(sequence, row)
            self._context.clear(sequence)
        self._cache.put(tokens, snapshot, pin=True)
        return PrefixWork(len(tokens) - reused, reused, Reading(snapshot.hidden, snapshot.hidden))

    def option_logits(self, options: OptionsPrompt, problem: Problem) -> OptionLogits:
        """Read the probabilities of options from the logits behind a prompt.

        The prompt reuses tokens of the last one for the same question only, so that earlier questions do not
        change the numbers.

        Args:
            options: The prompt, and the words that stand for the options.
            problem: The question, with the conversation before it.

        Raises:
            ContextOverflowError: as ``open``.
        """
        chat = self._chats[options.prompt]
        tokens = self._prompt(chat, problem, options.text, with_tools=True, behind=options.text)
        row, reused, sequence = self._evaluate(chat, problem, tokens, self._looks.get(problem.id, ()))
        self._cache.put(tokens, self._context.snapshot(sequence))
        self._looks[problem.id] = tokens
        words = [first_tokens(self._model, word) for word in options.words]
        log_probs = candidate_log_probs(self._context.logits(row), words).tolist()
        self._context.clear(sequence)
        return OptionLogits(tuple(log_probs), len(tokens) - reused, reused)

    def _evaluate(
        self, chat: ChatFormat, problem: Problem, tokens: Tokens, before: Tokens = ()
    ) -> tuple[int, int, int]:
        """Evaluate a prompt behind a parked prefix; returns row, number of reused tokens, and sequence.

        A conversation reuses the longest common prefix; if a reply was sampled in other tokens than those of
        its text, it is evaluated again from there on. A question reuses the prompt ``before``, or the head of
        its format, which is pinned.
        """
        sequence = self._scheduler.spare()
        head: Tokens = ()
        if _is_conversation(problem):
            prefixes = self._cache.most_shared(tokens)
        else:
            if tokens[: len(chat.head)] == chat.head:
                head = chat.head
            common = min(common_length(before, tokens), len(tokens) - 1)
            prefixes = [(before, common), (head, len(head))]
        length = reused = self._cache.restore(self._context, sequence, prefixes)
        if head and not length:
            self._context.evaluate(sequence, 0, head)
            self._cache.put(head, self._context.snapshot(sequence), pin=True)
            length = len(head)
        return self._context.evaluate(sequence, length, tokens[length:]), reused, sequence

    def _prompt(
        self, chat: ChatFormat, problem: Problem, statement: str, *, with_tools: bool, behind: str = ""
    ) -> Tokens:
        """Tokens of a prompt that leaves room for an answer.

        Raises:
            ContextOverflowError: it does not.
        """
        # A text that cannot fit is not tokenized: 100 MB would take 6 GB of memory.
        texts = (statement, *(turn.content for turn in problem.history))
        self._check_fit(sum(len(text.encode()) for text in texts) // MAX_TOKEN_BYTES, chat, problem)
        if isinstance(chat, ToolFormat):
            request = ToolRequest.of(problem.details)
            tokens = chat.request_prompt(request, with_tools=with_tools, behind=behind)
        else:
            tokens = chat.prompt(statement, problem.history, is_chat=entry_of(problem).is_reply)
        self._check_fit(len(tokens), chat, problem)
        return tokens

    def _check_fit(self, tokens: int, chat: ChatFormat, problem: Problem) -> None:
        """Refuse a prompt of at least so many tokens if no answer fits into the window behind it."""
        window, allowed = self._context.window, self._model.info.context_length
        room = tokens + ANSWER_RESERVE
        if chat.thoughts is not None and chat.think_tokens:
            room += chat.think_tokens + len(chat.thoughts.cut)
        if room <= window:
            return
        hint = "a shorter question, or another model"
        if (larger := round_window_up(room)) <= allowed:
            hint = setting("ctx_size", larger)
        subject = "the conversation with this question" if problem.history else "the question"
        raise ContextOverflowError(
            f"{subject} has {tokens:,} tokens or more, the context has room for {window:,}",
            f"nothing was cut off; {room - tokens:,} tokens must stay free for thought and answer",
            f"the model allows {allowed:,} tokens",
            hint=hint,
        )

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Queue a branch; the next ``advance`` gives it a KV sequence."""
        prefix, problem = branch.prefix, branch.prefix.problem
        name = prompt_of(problem.kind, prefix.mode)
        chat, sampler = self._chats[name], self._sampling["text" if entry_of(problem).is_reply else name]
        params = sampler.of(branch)
        prompt = self._tokens[problem.id, prefix.mode]
        tokens, ends = list(prompt), [len(chat.head), len(prompt)]
        for step in prefix.steps:
            tokens += step.token_ids
            # The snapshot of a finished step lacks its last token, which was sampled but not evaluated.
            ends += [len(tokens) - 1, len(tokens)] if self._park_steps else []
        thought = None
        if chat.thoughts is not None:
            thought = ThoughtProgress(chat.thoughts, params.think_tokens, prefix.steps)
        rules = self._rules.get((problem.id, prefix.mode))
        if entry_of(problem).has_fields and not branch.greedy:
            rules = object_rules(self._model, problem.details["schema"], branch.seed)
        has_begun = not all(step.is_thought for step in prefix.steps)
        self._scheduler.waiting.append(
            Sequence(
                id_,
                branch,
                tuple(tokens),
                tuple(ends),
                prompt_tokens=len(prompt),
                window=self._context.window,
                sampling=params,
                opening=b"" if has_begun else chat.opening.encode(),
                thought=thought,
                calls=None if rules is None else CallWriter(rules),
            )
        )

    def advance(self) -> list[Growth]:
        """One step of the engine: schedule a batch, run the model, and end complete steps.

        Raises:
            UsageError: as ``check_open``.
        """
        self.check_open()
        batch, is_prefill = self._scheduler.schedule()
        samples = self._runner.prefill(batch) if is_prefill else self._runner.decode(batch)
        growths, ended = [], []
        for sequence, token in samples:
            length, step = len(sequence.tokens), sequence.write(token)
            work, sequence.cost = sequence.cost, PrefixWork()
            count, thinks = len(sequence.tokens) - length, sequence.phase != "behind"
            growths.append(Growth(sequence.id, count, step, work, thinks=thinks))
            if step.finish is not None:
                ended.append((sequence, step.finish))
        self._scheduler.postprocess(ended)
        return growths

    def cancel(self, id_: BranchId) -> None:
        """As ``Scheduler.cancel``."""
        self._scheduler.cancel(id_)

    def close_problem(self, problem: Problem) -> None:
        """Drop a problem's prefixes, and free memory behind the last problem.

        A conversation's prompts, and the end of a plain reply, stay in the cache for the next turn while
        there is room.
        """
        prompts = [self._looks.pop(problem.id, ())]
        for mode in MODES:
            self._rules.pop((problem.id, mode), None)
            prompts.append(self._tokens.pop((problem.id, mode), ()))
        for tokens in prompts:
            if not tokens or tokens in self._tokens.values():
                continue
            if not entry_of(problem).is_reply:
                self._cache.drop_below(tokens)
            if _is_conversation(problem):
                self._cache.unpin(tokens)
            else:
                self._cache.drop(tokens)
        if not (self.is_busy or self._is_closed):
            self._context.reset()

    def check_open(self) -> None:
        """Refuse to use a freed model.

        Raises:
            UsageError: the session is closed.
        """
        if self._is_closed:
            hint = "ask, and read the events, within its with statement"
            raise UsageError("the session is closed", hint=hint, slug="session-closed")

    def close(self) -> None:
        """End all branches; the owner of the context closes it."""
        self._is_closed = True
        self._scheduler.waiting, self._scheduler.running = [], []


def _is_conversation(problem: Problem) -> bool:
    """True for a chat, a request with tools, and a question behind other turns."""
    has_turns = any(turn.role != "system" for turn in problem.history)
    return entry_of(problem).is_reply or entry_of(problem).has_calls or has_turns


def first_tokens(model: LlamaModel, word: str) -> set[int]:
    """First tokens of the spellings of a word at the beginning of a reply."""
    return {model.tokenize(spelling, special=False, follows=True)[0] for spelling in spellings(word)}


def candidate_log_probs(logits: FloatArray, candidates: Iterable[Iterable[int]]) -> NDArray[np.float64]:
    """Log-probabilities ``[candidates]`` among the candidates alone, from ``[vocab_size]`` logits.

    Args:
        logits: Logits of the next token.
        candidates: The tokens of each candidate, whose probabilities are added.
    """
    scores = [np.logaddexp.reduce([float(logits[token]) for token in tokens]) for tokens in candidates]
    return np.array(scores) - float(np.logaddexp.reduce(scores))
