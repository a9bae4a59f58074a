"""This machine: free memory, disk and cores, container limits included, and installed packages.

psutil reports the host, so inside a container it promises memory that the OOM killer will take back;
the control groups have the limit (version 2, which every maintained system has).
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")

_RECLAIMABLE = "active_file", "inactive_file"


def free_memory_bytes() -> int:
    """Free memory in bytes: the system's, or less inside a container."""
    import psutil

    groups = (limit - usage for limit, usage in _memory_groups())
    return max(0, min([int(psutil.virtual_memory().available), *groups]))


def memory_limit_bytes() -> int | None:
    """The container's memory limit in bytes; None without one."""
    return min((limit for limit, _ in _memory_groups()), default=None)


def free_disk_bytes(path: Path) -> int:
    """Bytes free for this user on the disk of ``path``."""
    while not path.exists() and path != path.parent:  # a drive that is not there is its own parent
        path = path.parent
    return shutil.disk_usage(path).free


def physical_cores() -> int:
    """Cores this process may use, hyper-threads not counted; at least 1.

    A process that is pinned has its share of the cores, as if it were pinned to whole ones.
    """
    import psutil

    threads = os.cpu_count() or 1
    cores = psutil.cpu_count(logical=False) or threads
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads
    return max(1, ceil(min([usable * cores / threads, *_cpu_quotas()])))


def cpu_name() -> str:
    """The processor's model name, or the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _memory_groups() -> Iterator[tuple[int, int]]:
    """(limit, used) of every control group above this process that sets a limit.

    Page cache is not counted as used: the kernel gives it back, and a model just downloaded is all
    page cache.
    """
    for group in _control_groups():
        limit = "".join(_read_lines(group / "memory.max"))
        if limit.isdigit():  # else it is "max", or there is no such file
            usage = "".join(_read_lines(group / "memory.current"))
            statistics = dict(line.split() for line in _read_lines(group / "memory.stat"))
            cache = sum(int(statistics.get(key, 0)) for key in _RECLAIMABLE)
            yield int(limit), max(0, int(usage or 0) - cache)


def _control_groups() -> Iterator[Path]:
    """This process's control groups, from its own up to the root of the hierarchy."""
    for line in _read_lines(_MEMBERSHIP):
        if line.startswith("0::"):
            # Inside a container the path is often the host's and does not exist here: then the root is ours.
            own = _CGROUPS / line[3:].lstrip("/")
            yield from (group for group in (own, *own.parents) if group.is_relative_to(_CGROUPS))


def _cpu_quotas() -> list[float]:
    lines = [line.split() for group in _control_groups() for line in _read_lines(group / "cpu.max")]
    return [int(quota) / int(period) for quota, period in lines if quota.isdigit()]


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def install_command(package: str) -> str:
    """The command that installs the package of an extra into the running environment.

    It names the package itself: adascale is on no package index, and whoever took its name there would be
    installed.
    """
    return shlex.join([sys.executable, "-m", "pip", "install", package])


_lock = threading.Lock()


@contextmanager
def without_stderr() -> Iterator[None]:
    """Let this process, and children that it starts meanwhile, print nothing to stderr."""
    with _lock:  # or one of two threads would keep the other's object
        stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, 2)
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(null)
            os.close(stderr)
