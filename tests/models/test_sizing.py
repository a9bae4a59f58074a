"""What is free on a machine, and what fits: windows, branches and the settings that an error names."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import tiny

from adascale.engine.errors import MemoryOverflowError
from adascale.models import machine
from adascale.models.files.gguf import GGUFInfo
from adascale.models.files.library import ModelFile, resolve
from adascale.models.options import THINK_TOKENS, WINDOW, SessionOptions, round_window_up
from adascale.models.sizing import (
    SessionLoad,
    check_memory,
    plan_load,
)

GB = 10**9
# 28 layers x 2 heads x (128 + 128) x 2 bytes = 28,672 bytes a token.
SMALL = GGUFInfo(
    architecture="qwen2",
    name="",
    context_length=32768,
    block_count=28,
    head_size=128,
    kv_bytes_per_token=28 * 2 * (128 + 128) * 2,
    state_bytes=0,
    chat_template="",
    parameter_count=0,
    active_parameters=0,
    size_bytes=1_117_320_768,
)
LARGE = replace(SMALL, size_bytes=4_700_000_000)


@pytest.fixture(autouse=True)
def no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_MEMBERSHIP", Path("/no/such/file"))


def test_the_sum() -> None:
    load = SessionLoad(SMALL, 4096, 8)
    assert load.context_bytes == 28_672 * 4096 * 8
    assert load.buffer_bytes == 200 * 10**6
    assert load.total_bytes == 1_117_320_768 + load.context_bytes + load.buffer_bytes
    assert SessionLoad(LARGE, 512, 1).buffer_bytes == 470_000_000


def test_too_big_is_told_in_numbers_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_limit_bytes", lambda: 8 * GB)
    with pytest.raises(MemoryOverflowError) as raised:
        check_memory(SessionLoad(SMALL, 8192, 1, LARGE), 7 * GB)
    error = raised.value
    assert error.message == "7.2 GB are needed, 7.0 GB are free (container limit 8.0 GB)"
    assert error.facts == (
        "generator 1.1 GB + PRM 4.7 GB + context 8,192 x 1 and 16,384 x 1: 0.7 GB + buffers 0.7 GB",
    )
    assert error.hint == "`ctx_size=4096` needs 6.8 GB; `force=True` tries anyway"


@pytest.mark.parametrize(("window", "branches", "share"), [(2048, 8, 0.95), (4096, 64, 0.7)])
def test_the_window_that_is_advised_fits(window: int, branches: int, share: float) -> None:
    load = SessionLoad(SMALL, window, branches, LARGE)
    room = int(share * load.total_bytes)
    with pytest.raises(MemoryOverflowError) as raised:
        check_memory(load, room)
    advised = re.match(r"`ctx_size=(\d+)` needs", raised.value.hint)
    assert advised is not None
    size = int(advised[1])
    assert size < window
    smaller = replace(load, window=round_window_up(size))
    check_memory(smaller, room)


THINKS = f"{tiny.CHATML}{{# </think> #}}"


def model(tmp_path: Path, context: int = 1 << 15) -> ModelFile:
    return resolve(str(tiny.write_chain(tmp_path / "tiny.gguf", context=context, template=THINKS)))


@pytest.mark.parametrize(
    ("think", "ctx_size", "window", "smallest"),
    [
        (0, None, WINDOW, 512),
        (0, 700, 768, 512),
        (1024, None, WINDOW + 1024, 1536),
        (None, None, WINDOW + THINK_TOKENS, THINK_TOKENS + 512),
        (1024, 4096, 4096, 1536),
    ],
)
def test_a_window_grows_by_what_may_be_thought_unless_it_was_asked_for(
    tmp_path: Path, think: int | None, ctx_size: int | None, window: int, smallest: int
) -> None:
    load = plan_load(SessionOptions(think=think, ctx_size=ctx_size), model(tmp_path), None, 64 << 30)
    assert (load.window, load.smallest) == (window, smallest)


@pytest.mark.parametrize(
    ("context", "free_gb", "think", "expected"),
    [
        (1 << 15, 64, 0, (8192, 64)),
        (1 << 15, 6, 0, (8192, 16)),
        (1 << 15, 3, 0, (4096, 16)),
        (2048, 64, 0, (WINDOW, 64)),
        (1 << 15, 64, None, (8192 + THINK_TOKENS, 64)),
        (12000, 64, 8192, (round_window_up(12000), 64)),
    ],
)
def test_a_conversation_has_a_larger_window_if_half_of_the_memory_has_room_for_it(
    tmp_path: Path, context: int, free_gb: int, think: int | None, expected: tuple[int, int]
) -> None:
    file = model(tmp_path, context)
    file = replace(file, info=replace(file.info, kv_bytes_per_token=1 << 14))
    options = SessionOptions(branches=64, think=think, purpose="conversation")
    load = plan_load(options, file, None, free_gb << 30)
    assert (load.window, load.branches) == expected
    assert plan_load(replace(options, think=0, ctx_size=512), file, None, free_gb << 30).window == 512


def test_models_that_do_not_fit_are_refused_unless_forced(tmp_path: Path) -> None:
    options = SessionOptions(purpose="conversation")
    with pytest.raises(MemoryOverflowError):
        plan_load(options, model(tmp_path), None, 1000)
    assert plan_load(replace(options, force=True), model(tmp_path), None, 1000).window == WINDOW


def group(root: Path, files: dict[str, str]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).write_text(content)


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cgroup"
    root.mkdir()
    monkeypatch.setattr(machine, "_CGROUPS", root)
    monkeypatch.setattr(machine, "_MEMBERSHIP", tmp_path / "membership")
    return root


def member_of(root: Path, lines: str) -> None:
    (root.parent / "membership").write_text(lines)


def test_a_v2_limit_counts_and_page_cache_is_not_used_memory(cgroups: Path) -> None:
    member_of(cgroups, "0::/app\n")
    group(
        cgroups / "app",
        {
            "memory.max": "1000000\n",
            "memory.current": "700000\n",
            "memory.stat": "anon 100000\nactive_file 250000\ninactive_file 350000\n",
        },
    )
    assert machine.memory_limit_bytes() == 1_000_000
    assert machine.free_memory_bytes() == 1_000_000 - (700_000 - 600_000)


def test_the_tightest_group_above_counts(cgroups: Path) -> None:
    member_of(cgroups, "0::/outer/inner\n")
    group(cgroups / "outer" / "inner", {"memory.max": "max\n", "memory.current": "5\n"})
    group(cgroups / "outer", {"memory.max": "2000\n", "memory.current": "500\n"})
    group(cgroups, {"memory.max": "9000\n", "memory.current": "600\n"})
    assert (machine.memory_limit_bytes(), machine.free_memory_bytes()) == (2000, 1500)


def test_inside_a_container_the_root_group_is_ours(cgroups: Path) -> None:
    member_of(cgroups, "0::/host/path/that/is/not/here\n")
    group(cgroups, {"memory.max": "3000", "memory.current": "4000"})
    assert machine.free_memory_bytes() == 0


def test_a_cpu_quota_bounds_the_cores(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 64)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(48)), raising=False)
    assert machine.physical_cores() == 48
    member_of(cgroups, "0::/\n")
    group(cgroups, {"cpu.max": "250000 100000\n"})
    assert machine.physical_cores() == 3


def test_two_threads_of_a_core_are_one_core_where_a_process_is_pinned(
    cgroups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 8, 9}, raising=False)
    assert machine.physical_cores() == 2


def test_free_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert machine.free_disk_bytes(tmp_path / "a" / "b") == pytest.approx(
        machine.free_disk_bytes(tmp_path), rel=0.1
    )
