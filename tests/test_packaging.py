"""What is released (wheel and sdist: built, checked, installed), and the lock of the default installation."""

from __future__ import annotations

import re
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
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel built from it; of a copy, so that no build folder of the checkout leaks."""
    folder = tmp_path_factory.mktemp("release")
    source = folder / "source"
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in files:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


@pytest.mark.slow
def test_the_package_index_would_take_both(dist: Path) -> None:
    pytest.importorskip("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, dist.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


@pytest.mark.slow
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
        f"adascale/serve/static/{p.name}"
        for p in (ROOT / "api" / "serve" / "static").glob("*")
        if p.suffix in (".css", ".html", ".js")
    }
    data = {
        "py.typed",
        "models/files/catalog.toml",
        "models/upstream/servers.toml",
        "models/calibration/questions.jsonl",
        "models/llama/schedules.json",
    }
    assert packaged == expected | {f"adascale/{name}" for name in data} | shipped | page
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_an_installed_wheel_answers_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, to which the dependencies of this one are lent."""
    venv.create(tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--disable-pip-version-check", str(wheel)], check=True, cwd=tmp_path)
    folder = next((tmp_path / "env").rglob("site-packages"))
    lent = [each for each in sys.path if each.endswith("site-packages")]
    (folder / "lent.pth").write_text("\n".join(lent), encoding="utf-8")

    def adascale(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(python), "-m", "adascale", *args], capture_output=True, text=True, cwd=tmp_path,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip

    version = adascale("--version")
    assert (version.stdout, version.returncode) == (f"adascale {__version__}\n", 0), version.stderr
    script = subprocess.run([python.parent / "adascale", "--version"], capture_output=True, text=True)
    assert script.stdout == version.stdout
    doctor = adascale("doctor", "--offline")
    assert f"adascale {__version__}," in doctor.stdout, doctor.stderr
    assert "FAIL" not in doctor.stdout


def test_one_version_is_told_everywhere() -> None:
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    assert cited is not None
    assert PROJECT["version"] == __version__ == cited[1]


def test_the_lock_has_a_version_and_hashes_of_every_dependency() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z])", text)[1:]
    pinned: dict[str, list[str]] = {}
    for entry in entries:
        name, version = re.match(r"([a-z0-9-]+)==(\S+)", entry).groups()  # type: ignore[union-attr]
        pinned.setdefault(name, []).append(version)
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), name
    for need in map(Requirement, PROJECT["dependencies"]):
        assert pinned.get(need.name), f"{need.name} is missing: make lock"
        assert all(map(need.specifier.contains, pinned[need.name])), f"{need.name} is out of date: make lock"


def test_the_lock_names_no_place() -> None:
    """Neither an index nor a folder of the machine that wrote it: both are the user's."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|^-|\s/|@", text, re.M)


def test_no_jinja2_is_taken_whose_sandbox_a_chat_template_can_leave() -> None:
    """CVE-2025-27516: up to 3.1.5 the ``attr`` filter reaches ``str.format``, and so the process."""
    needs = {need.name: need.specifier for need in map(Requirement, PROJECT["dependencies"])}
    assert not needs["jinja2"].contains("3.1.5")
    assert needs["jinja2"].contains("3.1.6")
