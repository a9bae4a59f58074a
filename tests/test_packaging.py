"""The wheel: built, installed in a clean environment, run."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from adascale import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy, so that no build folder of the checkout leaks into the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in files:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_code_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    expected = {
        "adascale/" + {"api": "", "cli": "cli/", "engine": "engine/", "models": "models/"}[path.parts[0]]
        + "/".join(path.parts[1:])
        for folder in ("api", "cli", "engine", "models")
        for path in (p.relative_to(ROOT) for p in (ROOT / folder).rglob("*.py"))
    }  # fmt: skip
    packaged = {name for name in names if ".dist-info/" not in name}
    shipped = {
        f"adascale/models/calibration/shipped/{p.name}"
        for p in (ROOT / "models" / "calibration" / "shipped").glob("*")
    }
    page = {
        f"adascale/serve/page/{p.name}"
        for p in (ROOT / "api" / "serve" / "page").glob("*")
        if p.suffix in (".css", ".html", ".js")
    }
    data = {"py.typed", "models/files/catalog.toml", "models/calibration/questions.jsonl"}
    assert packaged == expected | {f"adascale/{name}" for name in data} | shipped | page
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_an_installed_wheel_shows_its_version(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, with nothing of the checkout and only the command line's needs."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, cwd=tmp_path)
    subprocess.run([*pip, "typer>=0.26", "rich>=14.1"], check=True, cwd=tmp_path)
    command = [str(tmp_path / "env" / "bin" / "adascale"), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.returncode) == (f"adascale {__version__}\n", 0), done.stderr
    module = subprocess.run(
        [str(python), "-m", "adascale", "--version"], capture_output=True, text=True, cwd=tmp_path
    )
    assert module.stdout == done.stdout


def test_no_jinja2_is_taken_whose_sandbox_a_chat_template_can_leave() -> None:
    """CVE-2025-27516: up to 3.1.5 the ``attr`` filter reaches ``str.format``, and so the process."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = {need.name: need.specifier for need in map(Requirement, project["dependencies"])}
    assert not needs["jinja2"].contains("3.1.5")
    assert needs["jinja2"].contains("3.1.6")
