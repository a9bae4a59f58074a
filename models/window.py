"""The window of a trajectory: tokens for its question and its answer, and for a thought between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from adascale.engine.decimals import human_bytes
from adascale.engine.errors import UsageError, setting

from . import machine
from .files.gguf.info import GGUFInfo
from .files.library import ModelFile
from .llama.runtime import round_window_up
from .llama.thinking import room_for_thoughts
from .memory import SessionLoad, plan_memory
from .options import ROOMY_WINDOW, WINDOW, SessionOptions

_BESIDE_THOUGHT = 512
"""Tokens of a short question, of what closes a thought, and of an answer."""


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens of one trajectory.

    Attributes:
        tokens: Of the whole trajectory, prompt included.
        thought: Of them those that were added for a thought.
        smallest: Tokens of the smallest window for a short question, the same thought and an answer.
    """

    tokens: int
    thought: int
    smallest: int

    def describe_growth(self, kv_bytes_per_token: int, sequences: int) -> str:
        """What a thought has added, and its memory; empty where it has added nothing."""
        if not self.thought:
            return ""
        more = human_bytes(self.thought * kv_bytes_per_token * sequences)
        return f"Context of {self.tokens:,} tokens: thoughts take {self.thought:,} of them, {more} of memory"


def choose_window(options: SessionOptions, file: ModelFile) -> Window:
    """What was asked for, else ``WINDOW`` and the thought, as far as the model was trained for it.

    Raises:
        UsageError: more than the model was trained for is asked for, or a thought leaves no room in it.
    """
    thought = room_for_thoughts(options.think, file.info.chat_template)
    allowed = file.info.context_length or WINDOW + thought
    wanted = options.ctx_size or min(WINDOW + thought, allowed)
    if wanted > allowed:
        raise UsageError(
            f"{setting('ctx_size', wanted)} is more than {file.name} was trained for ({allowed:,})",
            hint=setting("ctx_size", allowed),
        )
    if thought and thought + _BESIDE_THOUGHT > wanted:
        raise _no_room(thought, wanted, allowed)
    tokens = round_window_up(wanted)
    added = 0 if options.ctx_size else tokens - round_window_up(min(WINDOW, allowed))
    return Window(tokens, added, smallest=thought + _BESIDE_THOUGHT)


def make_roomy(options: SessionOptions, generator: GGUFInfo, prm: GGUFInfo | None) -> SessionOptions:
    """Options with the largest window that leaves half of the memory; a quarter of the branches at least.

    They stay as they are if they name a window, or if no larger one than the usual one fits.
    """
    allowed = generator.context_length or ROOMY_WINDOW
    available = machine.free_memory_bytes()
    for tokens in (
        min(wanted, allowed) for wanted in (ROOMY_WINDOW, ROOMY_WINDOW // 2) if not options.ctx_size
    ):
        for share in (1, 2, 4):
            branches = max(1, options.branches // share)
            load = SessionLoad(generator, round_window_up(tokens), branches, prm)
            if (
                tokens > WINDOW
                and 2 * plan_memory(load, available=available, force=True).total_bytes <= available
            ):
                return replace(options, ctx_size=tokens, branches=branches)
    return options


def _no_room(thought: int, window: int, allowed: int) -> UsageError:
    needed, room = round_window_up(thought + _BESIDE_THOUGHT), max(0, window - _BESIDE_THOUGHT)
    return UsageError(
        f"a thought of {thought:,} tokens leaves no room for an answer in a window of {window:,}",
        hint=setting("ctx_size", needed) if needed <= allowed else setting("think", room),
        slug="think-budget",
    )
