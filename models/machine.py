"""This machine: free memory, disk and cores, container limits included, and what is installed on it.

psutil reports the host, so inside a container it promises memory that the OOM killer will take back;
the control groups know the limit (v2 and v1 are both read).
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
_CPUS = Path("/sys/devices/system/cpu")

# cgroup v1 writes a limit of this size for "unlimited".
_UNLIMITED = 1 << 60

_RECLAIMABLE = "active_file", "inactive_file"


def free_memory_bytes() -> int:
    """Free memory in bytes: that of the system, or less inside a container."""
    import psutil

    groups = (limit - used for limit, used in _memory_groups())
    return max(0, min([int(psutil.virtual_memory().available), *groups]))


def memory_limit_bytes() -> int | None:
    """The container's memory limit in bytes; None without one."""
    return min((limit for limit, _ in _memory_groups()), default=None)


def free_disk_bytes(path: Path) -> int:
    """Bytes free for this user where ``path`` lies or would be made."""
    while not path.exists() and path != path.parent:  # a drive that is not there is its own parent
        path = path.parent
    return shutil.disk_usage(path).free


def physical_cores() -> int:
    """Cores this process may use, hyper-threads not counted; at least 1."""
    import psutil

    bounds = [psutil.cpu_count(logical=False) or os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        # Hyper-threads of one core have the same list of siblings.
        lists = {cpu: _CPUS / f"cpu{cpu}/topology/thread_siblings_list" for cpu in os.sched_getaffinity(0)}
        bounds.append(len({"".join(_read_lines(path)) or str(cpu) for cpu, path in lists.items()}))
    quota = _cpu_quota()
    if quota is not None:
        bounds.append(ceil(quota))
    return max(1, min(bounds))


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
    for group in _control_groups("memory"):
        limit = _read_number(group, "memory.max", "memory.limit_in_bytes")
        if limit is None or limit >= _UNLIMITED:
            continue
        used = _read_number(group, "memory.current", "memory.usage_in_bytes") or 0
        statistics = dict(line.split() for line in _read_lines(group / "memory.stat"))
        # In v1 the numbers without "total" leave out the groups below.
        cache = (statistics.get(f"total_{key}", statistics.get(key, 0)) for key in _RECLAIMABLE)
        yield limit, max(0, used - sum(map(int, cache)))


def _control_groups(controller: str) -> Iterator[Path]:
    """This process's groups of a controller, from its own up to the root of the hierarchy."""
    for line in _read_lines(_MEMBERSHIP):
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            root = _CGROUPS
        elif controller in controllers.split(","):
            root = _CGROUPS / controller
        else:
            continue
        # Inside a container the path is often the host's and does not exist here: then the root is ours.
        own = root / path.lstrip("/")
        for group in (own, *own.parents):
            yield group
            if group == root:
                break


def _cpu_quota() -> float | None:
    quotas = []
    for group in _control_groups("cpu"):
        names = "cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"  # quota and period: one file, or two in v1
        words = [word for name in names for line in _read_lines(group / name) for word in line.split()]
        if len(words) == 2 and words[0].isdigit():  # without a quota it is "max" or -1
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def _read_number(group: Path, *names: str) -> int | None:
    """The number in the file of a group, which each version of cgroups names otherwise."""
    text = "".join(line for name in names for line in _read_lines(group / name))
    return int(text) if text.isdigit() else None


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
    with _lock:  # or one of two threads would keep what the other has put there
        kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(nothing)
            os.close(kept)
