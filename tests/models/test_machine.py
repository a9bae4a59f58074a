from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from adascale.models import machine


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
    monkeypatch.setattr(machine, "_CPUS", tmp_path / "cpus")
    return root


def member_of(root: Path, lines: str) -> None:
    (root.parent / "membership").write_text(lines)


def test_without_control_groups_the_system_answers(cgroups: Path) -> None:
    assert machine.memory_limit_bytes() is None
    available = psutil.virtual_memory().available
    assert machine.free_memory_bytes() == pytest.approx(available, rel=0.2)


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


def test_a_v1_limit_counts_and_its_huge_number_means_none(cgroups: Path) -> None:
    member_of(cgroups, "3:cpu:/x\n4:memory:/x\n")
    files = {"memory.limit_in_bytes": "4000", "memory.usage_in_bytes": "1000"}
    group(cgroups / "memory" / "x", files)
    assert machine.free_memory_bytes() == 3000
    group(cgroups / "memory" / "x", files | {"memory.limit_in_bytes": "9223372036854771712"})
    assert machine.memory_limit_bytes() is None


def test_inside_a_container_the_root_group_is_ours(cgroups: Path) -> None:
    member_of(cgroups, "0::/host/path/that/is/not/here\n")
    group(cgroups, {"memory.max": "3000", "memory.current": "4000"})
    assert machine.free_memory_bytes() == 0


def test_a_cpu_quota_bounds_the_cores(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(48)), raising=False)
    assert machine.physical_cores() == 48
    member_of(cgroups, "0::/\n")
    group(cgroups, {"cpu.max": "250000 100000\n"})
    assert machine.physical_cores() == 3


def test_two_threads_of_a_core_are_one_core_where_a_process_is_pinned(
    cgroups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 8, 9}, raising=False)
    for cpu in range(16):
        group(tmp_path / f"cpus/cpu{cpu}/topology", {"thread_siblings_list": f"{cpu % 8},{cpu % 8 + 8}\n"})
    assert machine.physical_cores() == 2


def test_free_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert machine.free_disk_bytes(tmp_path / "a" / "b") == pytest.approx(
        machine.free_disk_bytes(tmp_path), rel=0.1
    )
