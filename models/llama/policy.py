"""The generator on llama.cpp: many branches of many problems in one decode batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from adascale.engine.errors import UsageError
from adascale.engine.kinds import Look, prompt_of
from adascale.engine.ports import BranchStart, Growth, PrefixWork, Seen
from adascale.engine.tools.calls import MARKERS, ToolRequest
from adascale.engine.types import MODES, BranchId, Mode, Problem, PromptName, SamplingChange

from ..options import SamplingParams
from .calls import CallWriter, Rules, call_rules, object_rules
from .chat import ChatFormat
from .context import LlamaContext
from .prefixes import PrefixCache, Prompts
from .runner import ModelRunner
from .scheduler import Scheduler
from .sequence import SampledToken, Sequence
from .stepcost import Batching
from .thinking import ThoughtProgress


class LlamaPolicy:
    """Samples steps with llama.cpp; implements ``engine.ports.Policy``.

    Args:
        context: Has one KV sequence per branch that runs.
        chats: Format of each prompt.
        sampling: Sampler of each prompt.
        cache: Parked prefixes of this context.
        batching: Decides how a batch is split.
        park_steps: Park the prefix behind each finished step for its children. Without it every child
            evaluates its whole prefix again, so that its tokens do not depend on which siblings ran before.
        reply_tokens: Tokens of a reply to a chat; None for those of any solution.
    """

    def __init__(
        self,
        context: LlamaContext,
        chats: Mapping[PromptName, ChatFormat],
        sampling: Mapping[PromptName, SamplingParams],
        cache: PrefixCache,
        batching: Batching,
        park_steps: bool = True,
        reply_tokens: int | None = None,
    ) -> None:
        self._context = context
        self._model = context.model
        self._chats = chats
        self._sampling = sampling
        self._park_steps = park_steps
        self._for_chat = SamplingChange(max_tokens=reply_tokens)
        self._scheduler = Scheduler(context, cache, park_steps)
        self._runner = ModelRunner(context, cache, batching, self.slots + len(sampling))
        self._prompts = Prompts(context, chats, sampling, cache, self._scheduler.spare)
        self._rules: dict[tuple[str, Mode], Rules] = {}
        self._is_closed = False
        for marker in MARKERS:  # a call begins behind the text of one, even if it is a control token
            self._model.spell_out(self._model.tokenize(marker, special=True))

    @property
    def flops_per_token(self) -> float:
        """2 x the generator's active parameters."""
        return self._model.flops_per_token

    @property
    def slots(self) -> int:
        """Branches that run at once, at most: one per sequence of the context."""
        return self._context.sequences

    @property
    def is_busy(self) -> bool:
        """True while a problem is open."""
        return len(self._prompts) > 0

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """Evaluate the prompt once and keep it until ``close_problem``.

        Raises:
            ContextOverflowError: as ``Prompts.open``.
            UsageError: so too, or the schema of a tool cannot be made a grammar.
        """
        if mode == "call":
            self._rules[problem.id, mode] = call_rules(self._model, ToolRequest.of(problem.details))
        elif isinstance(schema := problem.details.get("schema"), dict):
            self._rules[problem.id, mode] = object_rules(self._model, schema)
        return self._prompts.open(problem, mode)

    def look(self, look: Look, problem: Problem) -> Seen:
        """Read options from the logits behind a prompt; raises as ``Prompts.look``."""
        return self._prompts.look(look, problem)

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Queue a branch; the next ``advance`` gives it a KV sequence."""
        prefix, problem = branch.prefix, branch.prefix.problem
        name = prompt_of(problem.kind, prefix.mode)
        chat, params = self._chats[name], self._sampling[name]
        if problem.is_chat:
            params = params.changed(self._for_chat)
        params = params.changed(branch.sampling)
        if branch.max_tokens is not None:
            params = replace(params, max_tokens=min(params.max_tokens, branch.max_tokens))
        prompt = self._prompts.tokens(problem, prefix.mode)
        tokens, ends = list(prompt), [len(chat.head), len(prompt)]
        for step in prefix.steps:
            tokens += step.token_ids
            # A finished step is parked without its last token, which was sampled but not evaluated.
            ends += [len(tokens) - 1, len(tokens)] if self._park_steps else []
        thought = None
        if chat.thoughts is not None and not problem.is_raw:
            thought = ThoughtProgress(chat.thoughts, params.think_tokens, prefix.steps)
        rules = self._rules.get((problem.id, prefix.mode))
        if problem.kind == "json" and not branch.greedy:
            rules = object_rules(self._model, problem.details["schema"], branch.seed)
        is_begun = not all(step.is_thought for step in prefix.steps)
        self._scheduler.waiting.append(
            Sequence(
                id_,
                branch,
                tuple(tokens),
                tuple(ends),
                prompt_tokens=len(prompt),
                window=self._context.window,
                sampling=params,
                opening=b"" if is_begun else chat.opening.encode(),
                thought=thought,
                calls=None if rules is None else CallWriter(rules),
            )
        )

    def advance(self) -> list[Growth]:
        """One step of the engine: schedule branches, run the model for them, and end what is complete.

        Raises:
            UsageError: as ``check_open``.
        """
        self.check_open()
        batch, is_prefill = self._scheduler.schedule()
        drawn = self._runner.prefill(batch) if is_prefill else self._runner.decode(batch)
        grown = [(sequence, _grow(sequence, token)) for sequence, token in drawn]
        self._scheduler.postprocess(
            [(sequence, finish) for sequence, growth in grown if (finish := growth.step.finish) is not None]
        )
        return [growth for _, growth in grown]

    def cancel(self, id_: BranchId) -> None:
        """End a branch as ``Scheduler.cancel``."""
        self._scheduler.cancel(id_)

    def close_problem(self, problem: Problem) -> None:
        """Forget the problem's prefixes, and behind the last problem give memory back."""
        self._prompts.close(problem)
        for mode in MODES:
            self._rules.pop((problem.id, mode), None)
        if not (self.is_busy or self._is_closed):
            self._context.reset()

    def check_open(self) -> None:
        """Refuse to go on behind the end of the session, whose model is freed.

        Raises:
            UsageError: it is closed.
        """
        if self._is_closed:
            hint = "ask, and read the events, within its with statement"
            raise UsageError("the session is closed", hint=hint, slug="session-closed")

    def close(self) -> None:
        """End all branches; the context is closed by its owner."""
        self._is_closed = True
        self._scheduler.waiting, self._scheduler.running = [], []


def _grow(sequence: Sequence, drawn: SampledToken) -> Growth:
    length = len(sequence.tokens)
    step = sequence.write(drawn)
    cost, sequence.cost = sequence.cost, PrefixWork()
    return Growth(sequence.id, len(sequence.tokens) - length, step, cost, thinks=sequence.phase != "behind")
