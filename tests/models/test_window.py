"""The window of a trajectory: what thoughts add to it, and thoughts that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from adascale.engine.errors import MemoryOverflowError, UsageError
from adascale.models import machine
from adascale.models.files.library import ModelFile, resolve
from adascale.models.memory import Savings, SessionLoad, plan_memory
from adascale.models.options import THINK_TOKENS, WINDOW, SessionOptions
from adascale.models.window import Window, choose_window, make_roomy

THINKS = f"{tiny.CHATML}{{# </think> #}}"


def model(tmp_path: Path, context: int = 1 << 15, template: str = THINKS) -> ModelFile:
    return resolve(str(tiny.write_chain(tmp_path / "tiny.gguf", context=context, template=template)))


@pytest.mark.parametrize(
    ("think", "ctx_size", "context", "expected"),
    [
        (0, None, 1 << 15, Window(WINDOW, 0, 512)),
        (0, None, 1000, Window(1024, 0, 512)),
        (0, 700, 1 << 15, Window(768, 0, 512)),
        (1024, None, 1 << 15, Window(WINDOW + 1024, 1024, 1536)),
        (300, None, 1 << 15, Window(WINDOW + 512, 512, 812)),
        (None, None, 1 << 15, Window(WINDOW + THINK_TOKENS, THINK_TOKENS, THINK_TOKENS + 512)),
        (1024, 4096, 1 << 15, Window(4096, 0, 1536)),
        (1024, None, WINDOW, Window(WINDOW, 0, 1536)),
    ],
)
def test_a_window_grows_by_what_may_be_thought_unless_it_was_asked_for(
    tmp_path: Path, think: int | None, ctx_size: int | None, context: int, expected: Window
) -> None:
    options = SessionOptions(think=think, ctx_size=ctx_size)
    assert choose_window(options, model(tmp_path, context)) == expected


def test_what_a_thought_costs_is_said(tmp_path: Path) -> None:
    assert Window(2048, 0, 512).describe_growth(1000, 8) == ""
    said = Window(3072, 1024, 1536).describe_growth(1000, 8)
    assert said == "Context of 3,072 tokens: thoughts take 1,024 of them, 8 MB of memory"


@pytest.mark.parametrize(
    ("think", "ctx_size", "context", "hint"),
    [
        (4000, 2048, 1 << 15, "`ctx_size=4608`"),
        (4000, None, 4096, "`think=3584`"),
        (4000, 2048, 4096, "`think=1536`"),
        (400, 512, 512, "`think=0`"),
    ],
)
def test_a_thought_larger_than_the_window_is_refused(
    tmp_path: Path, think: int, ctx_size: int | None, context: int, hint: str
) -> None:
    options = SessionOptions(think=think, ctx_size=ctx_size)
    with pytest.raises(UsageError, match=f"a thought of {think:,} tokens leaves no room") as caught:
        choose_window(options, model(tmp_path, context))
    assert (caught.value.hint, caught.value.slug) == (hint, "think-budget")


def test_a_window_larger_than_the_model_was_trained_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tiny\.gguf was trained for \(2,048\)"):
        choose_window(SessionOptions(ctx_size=4096), model(tmp_path, 2048))


def test_memory_that_thoughts_alone_do_not_fit_in_is_had_without_them(tmp_path: Path) -> None:
    info = model(tmp_path).info
    without, thought = 2048, 1 << 20
    load = SessionLoad(info, without + thought, 8)
    room = plan_memory(SessionLoad(info, without, 8), available=1 << 40).total_bytes
    with pytest.raises(MemoryOverflowError) as caught:
        plan_memory(load, available=room, savings=Savings(thought))
    assert caught.value.hint.startswith("`think=0` needs")


def test_a_window_that_is_advised_has_room_for_the_thought(tmp_path: Path) -> None:
    file = model(tmp_path, 1 << 15)
    window = choose_window(SessionOptions(think=1024, ctx_size=4096), file)
    room = plan_memory(SessionLoad(file.info, 2048, 8), available=1 << 40).total_bytes
    with pytest.raises(MemoryOverflowError) as caught:
        plan_memory(
            SessionLoad(file.info, window.tokens, 8), available=room, savings=Savings(window=window.smallest)
        )
    assert caught.value.hint.startswith("`ctx_size=2048` needs")
    with pytest.raises(MemoryOverflowError) as caught:
        plan_memory(
            SessionLoad(file.info, 2048, 8), available=room - 1, savings=Savings(window=window.smallest)
        )
    assert caught.value.hint.startswith("a smaller model")


@pytest.mark.parametrize(
    ("context", "free_gb", "expected"),
    [
        (1 << 15, 64, (8192, 64)),
        (1 << 15, 6, (8192, 16)),
        (5000, 64, (5000, 64)),
        (2048, 64, (None, 64)),
        (1 << 15, 1, (None, 64)),
    ],
)
def test_a_server_opens_a_larger_window_where_half_of_the_memory_has_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: int, free_gb: int, expected: tuple[int, int]
) -> None:
    monkeypatch.setattr(machine, "free_memory_bytes", lambda: free_gb << 30)
    info = replace(model(tmp_path, context).info, kv_values=1 << 13)
    opened = make_roomy(SessionOptions(branches=64), info, None)
    assert (opened.ctx_size, opened.branches) == expected
    assert make_roomy(SessionOptions(ctx_size=512), info, None).ctx_size == 512
