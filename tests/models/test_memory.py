from __future__ import annotations

import re
from dataclasses import replace

import pytest

from adascale.engine.errors import MemoryOverflowError
from adascale.engine.strategies import Adaptive
from adascale.models import machine
from adascale.models.files.gguf.info import GGUFInfo
from adascale.models.llama.runtime import round_window_up
from adascale.models.memory import Savings, SessionLoad, plan_memory, usual_bytes
from adascale.models.options import WINDOW

GB = 10**9
# 28 layers x 2 heads x (128 + 128) x 2 bytes = 28,672 bytes a token.
SMALL = GGUFInfo(
    architecture="qwen2",
    name="",
    context_length=32768,
    block_count=28,
    head_size=128,
    kv_values=28 * 2 * (128 + 128),
    state_bytes=0,
    vocab_size=151936,
    chat_template="",
    parameter_count=0,
    active_parameters=0,
    file_type="Q4_K_M",
    size_bytes=1_117_320_768,
)
LARGE = replace(SMALL, size_bytes=4_700_000_000)


@pytest.fixture(autouse=True)
def no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_limit_bytes", lambda: None)


def test_the_sum() -> None:
    plan = plan_memory(SessionLoad(SMALL, 4096, 8), available=8 * GB)
    assert plan.context_bytes == 28_672 * 4096 * 8
    assert plan.buffer_bytes == 200 * 10**6
    assert plan.total_bytes == 1_117_320_768 + plan.context_bytes + plan.buffer_bytes
    assert plan.verdict == "fits"


def test_a_model_that_judges_itself_is_counted_once() -> None:
    assert plan_memory(SessionLoad(SMALL, 4096, 8, SMALL), available=8 * GB).weights == (
        ("generator", 1_117_320_768),
    )
    other = replace(SMALL)
    assert len(plan_memory(SessionLoad(SMALL, 4096, 8, other), available=8 * GB).weights) == 2


def test_what_a_plan_leaves_is_spare() -> None:
    plan = plan_memory(SessionLoad(SMALL, 4096, 8), available=8 * GB)
    assert plan.spare_bytes == 8 * GB - plan.total_bytes
    assert plan_memory(SessionLoad(SMALL, 4096, 8), available=GB, force=True).spare_bytes == 0


def test_big_models_get_bigger_buffers() -> None:
    assert plan_memory(SessionLoad(LARGE, 512, 1), available=8 * GB).buffer_bytes == 470_000_000


@pytest.mark.parametrize(
    ("figures", "is_known"),
    [
        ((GB, 28_672, 0), True),
        ((GB, 12_288, 20_000_000), True),
        ((GB, 0, 20_000_000), True),  # layers with running states alone
        ((GB, 0, 0), False),  # a header that does not say
        ((GB, None, 0), False),
        ((GB, None, 20_000_000), False),
        ((None, 28_672, 0), False),
    ],
)
def test_usual_memory_is_known_where_all_its_figures_are(
    figures: tuple[int | None, int | None, int], is_known: bool
) -> None:
    assert (usual_bytes(*figures) is not None) == is_known


def test_usual_memory_is_that_of_the_default_plan() -> None:
    load = SessionLoad(SMALL, WINDOW, Adaptive().branches)
    needed = plan_memory(load, available=8 * GB).total_bytes
    assert usual_bytes(SMALL.size_bytes, SMALL.kv_bytes_per_token, 0) == needed


def test_over_nine_tenths_is_tight() -> None:
    need = plan_memory(SessionLoad(SMALL, 4096, 1), available=8 * GB).total_bytes
    assert plan_memory(SessionLoad(SMALL, 4096, 1), available=need).verdict == "tight"
    assert plan_memory(SessionLoad(SMALL, 4096, 1), available=int(need / 0.89)).verdict == "fits"


def test_too_big_is_told_in_numbers_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_limit_bytes", lambda: 8 * GB)
    with pytest.raises(MemoryOverflowError) as raised:
        plan_memory(SessionLoad(SMALL, 8192, 1, LARGE), available=7 * GB)
    error = raised.value
    assert error.message == "the two models need 7.2 GB, 7.0 GB are free (container limit 8.0 GB)"
    assert error.facts == (
        "generator 1.1 GB + PRM 4.7 GB + context 8,192 and 16,384 of the PRM: 0.7 GB + buffers 0.7 GB",
    )
    assert error.hint == "`ctx_size=4096` needs 6.8 GB; `force=True` tries anyway"


@pytest.mark.parametrize(
    ("window", "branches", "share"), [(2048, 8, 0.95), (4096, 64, 0.95), (4096, 64, 0.7), (4864, 8, 0.9)]
)
def test_the_window_that_is_advised_fits(window: int, branches: int, share: float) -> None:
    load = SessionLoad(SMALL, window, branches, LARGE)
    room = int(share * plan_memory(load, force=True, available=0).total_bytes)
    with pytest.raises(MemoryOverflowError) as raised:
        plan_memory(load, available=room)
    advised = re.match(r"`ctx_size=(\d+)` needs", raised.value.hint)
    assert advised is not None
    size = int(advised[1])
    assert size < window
    assert plan_memory(replace(load, window=round_window_up(size)), available=room).verdict != "too-big"


def test_fewer_samples_are_advised_when_the_context_is_already_small() -> None:
    with pytest.raises(MemoryOverflowError) as raised:
        plan_memory(SessionLoad(SMALL, 600, 64), available=2 * GB, savings=Savings(samples=True))
    assert "context 600 x 64: 1.1 GB" in raised.value.facts[0]
    assert raised.value.message.startswith("the model needs 2.4 GB")
    assert raised.value.hint.startswith("`samples=32` needs 1.9 GB")


def test_samples_are_not_advised_where_they_do_not_set_the_branches() -> None:
    with pytest.raises(MemoryOverflowError) as raised:
        plan_memory(SessionLoad(SMALL, 600, 64), available=2 * GB)
    assert raised.value.hint.startswith("a smaller model")


def test_only_a_smaller_model_helps_when_the_weights_do_not_fit() -> None:
    with pytest.raises(MemoryOverflowError) as raised:
        plan_memory(SessionLoad(LARGE, 4096, 1), available=GB)
    assert raised.value.hint.startswith("a smaller model")


def test_force_returns_the_plan_that_does_not_fit() -> None:
    assert plan_memory(SessionLoad(LARGE, 4096, 1), available=GB, force=True).verdict == "too-big"


def test_the_machine_is_asked_when_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory_bytes", lambda: 123)
    assert plan_memory(SessionLoad(SMALL, 512, 1), force=True).available_bytes == 123
