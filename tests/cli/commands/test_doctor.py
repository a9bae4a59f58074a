"""``doctor`` on a machine of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from home import CLOSED, Home
from loopback import serving

from adascale.cli.commands import doctor
from adascale.engine.errors import AdascaleError
from adascale.models import machine
from adascale.models.calibration import installed
from adascale.models.files.catalog import DEFAULT_GENERATOR, catalog
from adascale.models.programs import detection
from adascale.models.programs.sandboxes import Sandbox


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, chain_gguf: Path) -> Home:
    return Home.asking(tmp_path_factory.mktemp("home"), chain_gguf, 1)


def checked(home: Home, *args: str, **env: str) -> tuple[dict[str, Any], int]:
    done = subprocess.run(
        [sys.executable, "-m", "adascale", "doctor", "--json", *args],
        capture_output=True,
        text=True,
        env={**home.sealed, **env},
        timeout=60,
    )
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}, done.returncode


def test_it_fails_only_on_failures(home: Home) -> None:
    found, code = checked(home, "--offline")
    programs = found.pop("programs")
    assert {name: check["result"] for name, check in found.items()} == {
        "python": "ok",
        "config": "ok",
        "llama.cpp": "ok",
        "gpu": "ok",
        "memory": "ok",
        "generator": "warn",
        "calibration": "skip",
        "network": "skip",
    }
    assert found["generator"]["fix"] == f"adascale models pull {DEFAULT_GENERATOR}"
    assert programs["detail"].startswith("ask runs them in monty")
    assert code == 0


def test_it_says_where_programs_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "find_sandbox", lambda: Sandbox("landlock"))
    assert doctor._programs() == doctor.Finding(
        "ok", "ask runs them in monty, code tasks in CPython within landlock"
    )

    def refuse() -> Sandbox:
        raise AdascaleError("no sandbox holds", "bubblewrap: no namespaces", hint="`unsandboxed=True` helps")

    monkeypatch.setattr(detection, "find_sandbox", refuse)
    text = "ask runs them in monty; for code tasks no sandbox holds; bubblewrap: no namespaces"
    assert doctor._programs() == doctor.Finding("warn", text, "--unsandboxed helps")


def test_it_says_that_a_model_nobody_fitted_has_the_portable_calibration_or_none(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in home.env.items():
        monkeypatch.setenv(name, value)
    found = doctor._calibration(str(home.model))
    assert (found.result, found.fix) == ("warn", f"adascale calibrate fit -g {home.model}")
    assert found.detail.startswith("the portable one, of ")
    assert f": wide, from 0.10 for its size; none was fitted for {home.model}" in found.detail

    monkeypatch.setattr(installed, "read_installed", installed.InstalledCalibrations)
    assert doctor._calibration(str(home.model)).detail.startswith(f"none for {home.model}: ")


def test_a_broken_model_fails_with_its_fix(home: Home, tmp_path: Path) -> None:
    torn = tmp_path / "torn.gguf"
    torn.write_bytes(home.model.read_bytes()[:-100_000])
    found, code = checked(home, "--offline", "-g", str(torn))
    assert (found["generator"]["result"], code) == ("FAIL", 1)
    assert "is incomplete" in found["generator"]["detail"]


def test_where_models_could_come_from(home: Home) -> None:
    wheel = catalog()[DEFAULT_GENERATOR].wheel
    assert wheel is not None
    [package, version], *_ = wheel.packages
    with serving() as server:
        name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
        page = {"files": [{"filename": name, "url": f"{server.url}/{name}", "hashes": {}}]}
        server.add(f"/simple/{package}/", page, Content_Type="application/vnd.pypi.simple.v1+json")
        found, code = checked(home, PIP_INDEX_URL=f"{server.url}/simple")
    assert (found["network"]["result"], code) == ("warn", 0)
    assert found["network"]["detail"] == (
        "cannot reach 127.0.0.1 (Connection refused); "
        "built-in models come from the package index, which answers"
    )
    assert "HF_ENDPOINT" in found["network"]["fix"]
    found, _ = checked(home, PIP_INDEX_URL=f"{CLOSED}/simple")
    assert "cannot reach the package index at 127.0.0.1" in found["network"]["detail"]
    with serving() as hub:
        hub.add("/", b"hello")
        found, _ = checked(home, HF_ENDPOINT=hub.url)
    assert found["network"]["result"] == "ok"


def test_what_does_not_fit_is_a_failure_with_a_way_out(
    chain_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for free, result, told in ((10**12, "ok", " needs "), (10**8, "FAIL", "")):
        monkeypatch.setattr(machine, "free_memory_bytes", lambda free=free: free)
        monkeypatch.setattr(machine, "free_disk_bytes", lambda path, free=free: free)
        memory = doctor._run_check(lambda: doctor._memory(str(chain_gguf)))
        disk = doctor._run_check(lambda: doctor._generator(DEFAULT_GENERATOR))
        assert (memory.result, disk.result) == (result, result.replace("ok", "warn")), (memory, disk)
        assert told in memory.detail
    assert memory.fix.startswith(("--ctx-size", "--samples", "a smaller model"))
    assert disk.fix == f"HF_HOME=/data/hf adascale models pull {DEFAULT_GENERATOR}"


def test_a_broken_config_is_one_finding_among_others(home: Home, tmp_path: Path) -> None:
    broken = tmp_path / "config.toml"
    broken.write_text("effort = = 3")
    found, code = checked(home, "--offline", ADASCALE_CONFIG=str(broken))
    assert (found["config"]["result"], code) == ("FAIL", 1)
    assert found["llama.cpp"]["result"] == "ok"
