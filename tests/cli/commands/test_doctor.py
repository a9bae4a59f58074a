"""``doctor`` on a machine of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import Home
from huggingface_hub import constants
from loopback import listening
from typer.testing import CliRunner

from adascale.cli.commands.doctor import doctor
from adascale.engine.errors import AdascaleError
from adascale.models import machine
from adascale.models.files.catalog import DEFAULT_GENERATOR, catalog
from adascale.models.programs import cpython

Checked = Callable[..., tuple[dict[str, Any], int]]


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chain_gguf: Path) -> Checked:
    """Runs ``doctor --json`` in this process, on a machine without settings, models and network."""
    env = Home.asking(tmp_path, chain_gguf, 1).sealed
    for name in os.environ.keys() - env.keys():
        monkeypatch.delenv(name)
    for name, value in (env | {"ADASCALE_CONFIG": str(tmp_path / "config.toml")}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cpython, "check_sandbox", lambda: None)
    app = typer.Typer()
    app.command()(doctor)

    def run(*args: str, **more: str) -> tuple[dict[str, Any], int]:
        # huggingface_hub reads its environment once, when it is imported.
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(Path(env["HF_HOME"], "hub")))
        monkeypatch.setattr(constants, "ENDPOINT", (env | more)["HF_ENDPOINT"])
        done = CliRunner().invoke(app, ["--json", *args], env=more)
        return {check["name"]: check for check in json.loads(done.stdout)["checks"]}, done.exit_code

    return run


def test_it_fails_only_on_failures(checked: Checked) -> None:
    found, code = checked("--offline")
    assert ({name: check["result"] for name, check in found.items()}, code) == (
        {
            "python": "ok",
            "config": "ok",
            "llama.cpp": "ok",
            "gpu": "ok",
            "memory": "ok",
            "generator": "warn",
            "calibration": "skip",
            "programs": "ok",
            "network": "skip",
        },
        0,
    )
    assert found["generator"]["fix"] == f"adascale pull {DEFAULT_GENERATOR}"
    assert found["programs"]["detail"].endswith("Landlock and seccomp")


def test_a_missing_sandbox_is_named_with_its_remedy(
    checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise AdascaleError("no sandbox holds", "OSError: no Landlock", hint="`unsandboxed=True` helps")

    monkeypatch.setattr(cpython, "check_sandbox", refuse)
    found, code = checked("--offline")
    assert (found["programs"]["result"], found["programs"]["fix"], code) == ("warn", "--unsandboxed helps", 0)
    assert "no sandbox holds; OSError: no Landlock" in found["programs"]["detail"]


def test_an_unfitted_model_goes_by_votes_and_its_size(checked: Checked, chain_gguf: Path) -> None:
    found, _ = checked("--offline", "-m", str(chain_gguf))
    calibration = found["calibration"]
    assert (calibration["result"], calibration["fix"]) == ("warn", f"adascale calibrate fit -m {chain_gguf}")
    assert calibration["detail"].startswith(f"none was fitted for {chain_gguf}: ")
    assert calibration["detail"].endswith("from 0.25 for its size")


def test_a_broken_model_and_a_broken_config_fail_alone(
    checked: Checked, chain_gguf: Path, tmp_path: Path
) -> None:
    torn, broken = tmp_path / "torn.gguf", tmp_path / "config.toml"
    torn.write_bytes(chain_gguf.read_bytes()[: chain_gguf.stat().st_size // 2])
    found, code = checked("--offline", "-m", str(torn))
    assert (found["generator"]["result"], found["config"]["result"], code) == ("FAIL", "ok", 1)
    assert "is incomplete" in found["generator"]["detail"]
    broken.write_text("threads = 0")
    found, code = checked("--offline")
    assert (found["config"]["result"], found["llama.cpp"]["result"], code) == ("FAIL", "ok", 1)


def test_an_unknown_setting_is_a_warning(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("unknown = true\n")
    assert checked("--offline")[0]["config"]["result"] == "warn"


def test_a_missing_model_fails_once_and_is_nothing_to_download(checked: Checked) -> None:
    found, code = checked("--offline", "-m", "./missing.gguf")
    assert ([each for each in found if found[each]["result"] == "FAIL"], code) == (["generator"], 1)
    assert "pull" not in found["generator"]["fix"]


def test_the_network_is_the_hub_or_the_package_index(checked: Checked) -> None:
    with listening() as server:
        found, code = checked()
        assert (found["network"]["result"], code) == ("warn", 0)
        assert "HF_ENDPOINT" in found["network"]["fix"]
        requirement = catalog()[DEFAULT_GENERATOR].wheel.requirement(1)  # type: ignore[union-attr]
        package, _, version = requirement.partition("==")
        wheel = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
        server.add(f"/simple/{package}/", f'<a href="{wheel}">x</a>', Content_Type="text/html")
        found, _ = checked(PIP_INDEX_URL=f"{server.url}/simple")
        assert found["network"]["result"] == "ok"
        assert f"the package index has {DEFAULT_GENERATOR}" in found["network"]["detail"]
        server.add("/", b"hello")
        found, _ = checked(HF_ENDPOINT=server.url)
        assert found["network"]["result"] == "ok"


def test_a_lack_of_memory_or_disk_is_a_failure_with_a_way_out(
    checked: Checked, chain_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "free_memory_bytes", lambda: 10**8)
    monkeypatch.setattr(machine, "free_disk_bytes", lambda _: 10**8)
    found, code = checked("--offline", "-m", str(chain_gguf))
    assert (found["memory"]["result"], code) == ("FAIL", 1)
    assert found["memory"]["fix"].startswith(("-o ctx_size", "-o samples", "a smaller model"))
    found, code = checked("--offline")
    assert (found["generator"]["result"], code) == ("FAIL", 1)
    assert found["generator"]["fix"] == f"HF_HOME=/data/hf adascale pull {DEFAULT_GENERATOR}"
