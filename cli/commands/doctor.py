"""``adascale doctor``: what this machine has, what is wrong, and how to fix it."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import typer

from adascale import __version__
from adascale.engine.decimals import human_bytes
from adascale.engine.errors import AdascaleError, ModelError
from adascale.engine.strategies import Adaptive
from adascale.models import machine
from adascale.models.files.catalog import DEFAULT_GENERATOR

from ..exit_codes import FAILED
from ..options.config_file import config_path, read_config, suggestion
from ..options.flags import SETTINGS
from ..options.flatten import with_options
from ..options.groups import DoctorOptions
from ..terminal.console import as_typed, short_path, write_json, write_payload
from ..terminal.text import columns

SCHEMA = "adascale.doctor/1"

Verdict = Literal["ok", "warn", "FAIL", "skip"]

_GPU_FIX = (
    'CMAKE_ARGS="-DGGML_CUDA=on" pip install --force-reinstall --no-cache-dir "llama-cpp-python>=0.3.36,<0.4"'
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        name: What was checked.
        result: ``FAIL`` alone makes the command fail.
        detail: What was found.
        fix: A command or setting to paste; empty where nothing is wrong.
    """

    name: str
    result: Verdict
    detail: str
    fix: str = ""


@with_options(DoctorOptions)
def doctor(*, options: DoctorOptions) -> None:
    """Check this machine, and say how to mend what is wrong.

    adascale doctor
    adascale doctor -g my-model.gguf --offline --json
    """
    generator = options.generator
    checks = [
        _run_check("python", _python),
        _run_check("config", _config),
        _run_check("llama.cpp", _llama),
        _run_check("gpu", _gpu),
        _run_check("memory", lambda: _memory(generator)),
        _run_check("disk", lambda: _disk(generator)),
        _run_check("generator", lambda: _generator(generator)),
        _run_check("calibration", lambda: _calibration(generator)),
        _run_check("programs", _programs),
        Finding("network", "skip", "offline") if options.offline else _run_check("network", _network),
    ]
    if options.json_output:
        write_json({"schema": SCHEMA, "checks": [asdict(check) for check in checks]})
    else:
        write_payload(_findings_text(checks))
    if any(check.result == "FAIL" for check in checks):
        raise typer.Exit(FAILED)


def _findings_text(checks: list[Finding]) -> str:
    """A line for each check with its fix below, and how many need attention."""
    rows = []
    for check in checks:
        rows.append((f"{check.result:<4}", check.name, check.detail))
        if check.fix:
            rows.append(("", "", f"fix: {check.fix}"))
    open_points = sum(check.result in ("warn", "FAIL") for check in checks)
    end = f"{open_points} of {len(checks)} checks need attention." if open_points else "all is well."
    return f"{columns(rows, '<<<')}\n{end}"


def _run_check(name: str, check: Callable[[], Finding]) -> Finding:
    """A check that breaks is a finding, never a crash."""
    try:
        return check()
    except AdascaleError as error:
        return Finding(name, "FAIL", as_typed(error.message), as_typed(error.hint))
    except Exception as error:
        return Finding(name, "warn", f"could not be checked: {type(error).__name__}: {error}")


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()}, adascale {__version__}, {sys.platform}")


def _config() -> Finding:
    """Whether the config file can be read, and which settings it has."""
    path = config_path()
    found = read_config(path)
    said = ", ".join(found) if found else "nothing set" if path.exists() else "none"
    unknown = [key for key in found if key not in SETTINGS]
    if unknown:
        text = f"{unknown[0]} is no setting ({short_path(path)})"
        return Finding("config", "warn", text, suggestion(unknown[0]))
    return Finding("config", "ok", f"{said} ({short_path(path)})")


def _llama() -> Finding:
    """Whether llama.cpp loads, and the CPU features that it was built with."""
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        return Finding(
            "llama.cpp", "FAIL", f"does not load: {error}", "pip install --force-reinstall llama-cpp-python"
        )
    info = llama_cpp.llama_print_system_info().decode("utf-8", "replace")
    features = [part.split(" = ")[0].split()[-1] for part in info.split("|") if part.strip().endswith("= 1")]
    return Finding("llama.cpp", "ok", f"llama-cpp-python {llama_cpp.__version__} ({', '.join(features)})")


def _gpu() -> Finding:
    """Whether this build uses a GPU, or could where there is one."""
    from llama_cpp import llama_supports_gpu_offload

    if llama_supports_gpu_offload():
        return Finding("gpu", "ok", "this build uses the GPU")
    if shutil.which("nvidia-smi"):
        return Finding("gpu", "warn", "NVIDIA driver found, but this build has no GPU support", _GPU_FIX)
    return Finding("gpu", "ok", "none used; this is a CPU build")


def _memory(name: str) -> Finding:
    """Whether ``ask`` with its default context and samples fits into memory."""
    from adascale.models.files.gguf.info import read_info
    from adascale.models.files.library import locate
    from adascale.models.options import WINDOW
    from adascale.models.plan import Savings, SessionLoad, plan_memory

    limit = machine.memory_limit_bytes()
    inside = f"container limit {human_bytes(limit)}" if limit is not None else "no container limit"
    free, cores = human_bytes(machine.free_memory_bytes()), machine.physical_cores()
    said = f"{free} free ({inside}), {cores} cores"
    found = locate(name)
    try:
        info = None if found is None else read_info(found.path)
    except ModelError:  # the check of the generator says what is wrong with it
        info = None
    if info is None:
        return Finding("memory", "ok", said)
    window = min(WINDOW, info.context_length or WINDOW)
    plan = plan_memory(SessionLoad(info, window, Adaptive().branches), savings=Savings(samples=True))
    said += f"; {name} needs {human_bytes(plan.total_bytes)}"
    if plan.verdict == "tight":
        return Finding(
            "memory", "warn", f"{said}: the system may swap", f"adascale ask -g {name} --samples 8 ..."
        )
    return Finding("memory", "ok", said)


def _disk(name: str) -> Finding:
    """Whether a model that is still to be fetched fits on the disk."""
    from adascale.models.files.catalog import catalog
    from adascale.models.files.library import locate
    from adascale.models.files.local.cache import cache_dir

    free, spec = machine.free_disk_bytes(cache_dir()), catalog().get(name)
    said = f"{human_bytes(free)} free in {short_path(cache_dir())}"
    if spec is None or (spec.size_bytes or 0) < free or locate(name) is not None:
        return Finding("disk", "ok", said)
    fix = f"HF_HOME=/data/hf adascale models pull {name}"
    return Finding("disk", "FAIL", f"{said}, {name} needs {human_bytes(spec.size_bytes or 0)}", fix)


def _generator(name: str) -> Finding:
    """Whether the model is on this machine and is a whole GGUF."""
    from adascale.models.files.gguf.info import read_info
    from adascale.models.files.library import locate

    found = locate(name)
    if found is None:
        return Finding(
            "generator",
            "warn",
            f"{name} is not on this machine; ask fetches it",
            f"adascale models pull {name}",
        )
    read_info(found.path)
    return Finding("generator", "ok", f"{name} ({human_bytes(found.size_bytes)}) at {short_path(found.path)}")


def _calibration(name: str) -> Finding:
    """The calibration for the default sampler: its data, and its figures on held-out questions."""
    from adascale.engine.calibration.portable import rate_of_size
    from adascale.models.calibration import installed
    from adascale.models.calibration.artefact import Fingerprint
    from adascale.models.files.library import resolve
    from adascale.models.options import WINDOW, SamplingParams

    try:
        file = resolve(name, offline=True)
    except AdascaleError:
        return Finding("calibration", "skip", f"{name} is not on this machine")
    calibrations = installed.read_installed()
    broken = "".join(f"; {error.message}" for error in calibrations.errors)
    usual = Fingerprint(file.sha256, "", "probe", "", SamplingParams().record(), WINDOW)
    found = calibrations.find(usual)
    if found is None:
        return Finding(
            "calibration",
            "warn",
            f"none for {name}: scores are shown as scores{broken}",
            f"adascale calibrate fit -g {name}",
        )
    if found.card.level == "portable":
        prior = rate_of_size(file.info.effective_parameters)
        said = f"the portable one, of {', '.join(found.card.data)}: wide, from {prior:.2f} for its size;"
        said += f" none was fitted for {name}{broken}"
        return Finding("calibration", "warn", said, f"adascale calibrate fit -g {name}")
    card, finished = found.card, found.card.finished
    fitted = f"{card.level}, {card.method}, on {len(card.questions)} questions of {', '.join(card.data)}"
    fitted += f" at temperature {card.fingerprint.sampling.get('temperature', '?')}"
    metrics = {"skill": finished.skill, "ece": finished.ece, "auc": finished.auc}
    good = ", ".join(f"{metric} {value:.2f}" for metric, value in metrics.items() if value is not None)
    said = f"{card.name}, {fitted}; held out, finished answers: {good}{broken}"
    if broken:
        return Finding("calibration", "warn", said, "adascale calibrate list")
    if (finished.skill or 0) <= 0:
        fix = f"adascale calibrate fit -g {name} --data questions.jsonl --questions 600"
        return Finding("calibration", "warn", f"{said}: no better than the base rate", fix)
    return Finding("calibration", "ok", said)


def _programs() -> Finding:
    """Where programs of a model can run: monty needs nothing of the machine, CPython a sandbox that holds."""
    from adascale.models.programs.detection import find_sandbox

    try:
        text = f"ask runs them in monty, code tasks in CPython within {find_sandbox().name}"
        return Finding("programs", "ok", text)
    except AdascaleError as error:
        text = f"ask runs them in monty; for code tasks {'; '.join([error.message, *error.facts])}"
        return Finding("programs", "warn", text, as_typed(error.hint))


def _network() -> Finding:
    """Models come from the Hub; those of the catalogue from the package index too."""
    from adascale.models.files.sources import hub

    try:
        hub.check_reachable()
    except AdascaleError as error:
        return Finding("network", "warn", f"{error.message}; {_package_index()}", as_typed(error.hint))
    return Finding("network", "ok", f"{hub.host()} answers")


def _package_index() -> str:
    """Whether the package index offers the built-in models, in words."""
    from adascale.models.files.catalog import catalog
    from adascale.models.files.sources.package_index import PackageIndex, index_settings

    wheel = catalog()[DEFAULT_GENERATOR].wheel
    assert wheel is not None
    try:
        with PackageIndex(index_settings()) as index:
            index.find(*wheel.packages[0])
    except AdascaleError as error:
        return error.message
    return "built-in models come from the package index, which answers"
