"""The import rule of the layers, and what starting up may not cost."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "engine": "adascale.engine",
    "models": "adascale.models",
    "cli": "adascale.cli",
    "api": "adascale",
}
"""The package of each layer's folder, whose modules may import each other; the last holds the others."""

MAY_IMPORT = {
    "engine": {"jsonschema", "numpy", "pydantic", "pydantic_core", "referencing"},
    "models": {
        "adascale.engine", "numpy", "llama_cpp", "huggingface_hub",
        "anyio", "filelock", "httpx2", "jinja2", "math_verify", "platformdirs", "psutil", "pydantic_monty",
        "ray", "safetensors", "unearth",
    },
    "cli": {
        "adascale", "adascale.codetasks", "adascale.engine", "adascale.export", "adascale.labels",
        "adascale.models", "adascale.serve",
        "filelock", "llama_cpp", "markdown_it", "prompt_toolkit", "pydantic", "rich", "tomlkit", "typer",
    },
    "api": {
        "adascale.engine", "adascale.models", "numpy",
        "mcp", "mcp_types", "pydantic", "pydantic_core", "starlette",
        "uvicorn",
    },
}  # fmt: skip

STARTS = {"api/__main__.py": {"adascale.cli"}}
"""What a file may import beside that."""


def package_of(folder: Path) -> str:
    layer, *inside = folder.relative_to(ROOT).parts
    return ".".join([PACKAGES[layer], *inside])


def imports(path: Path) -> list[str]:
    """Absolute names of the modules that a file imports; a relative import may climb out of its layer."""
    package = package_of(path.parent).split(".")
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            named = [f"{module}.{alias.name}" for alias in node.names]
            found += [name if not node.module or is_module(name) else module for name in named]
    return found


def layer_of(name: str) -> str | None:
    """The layer that a module belongs to; None for what is not ours."""
    return next((layer for layer, package in PACKAGES.items() if is_inside(name, package)), None)


def is_module(name: str) -> bool:
    layer = layer_of(name)
    if layer is None:
        return False
    place = ROOT.joinpath(layer, *name.removeprefix(PACKAGES[layer]).split(".")[1:])
    return place.is_dir() or place.with_suffix(".py").is_file()


def is_inside(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_dependencies_point_inward(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            if layer_of(name) == folder:
                continue
            top = ".".join(name.split(".")[:2]) if name.startswith("adascale.") else name.split(".")[0]
            allowed = MAY_IMPORT[folder] | STARTS.get(path.relative_to(ROOT).as_posix(), set())
            assert top in sys.stdlib_module_names or top in allowed, f"{path} imports {name}"


def test_the_engine_imports_each_library_in_one_file() -> None:
    files = {path.relative_to(ROOT).as_posix(): imports(path) for path in (ROOT / "engine").rglob("*.py")}
    for library, own in (
        ("pydantic", "engine/codec.py"),
        ("jsonschema", "engine/tools/schema.py"),
        ("referencing", "engine/tools/schema.py"),
    ):
        assert [at for at, found in files.items() if any(is_inside(each, library) for each in found)] == [own]


def test_only_a_conversation_in_a_terminal_imports_prompt_toolkit() -> None:
    files = {path.relative_to(ROOT).as_posix(): imports(path) for path in (ROOT / "cli").rglob("*.py")}
    own, module = "cli/terminal/messages.py", "adascale.cli.terminal.messages"
    assert [
        name for name, found in files.items() if any(is_inside(each, "prompt_toolkit") for each in found)
    ] == [own]
    assert [name for name, found in files.items() if module in found] == ["cli/commands/chat.py"]


ROOMS = {
    "cli": ("terminal", "disk", "render", "options", "commands"),
}
"""Rooms of a folder; each may need those before it."""

BESIDE_ROOMS = {
    "disk": {"report"},
    "render": {"report"},
    "commands": {"exit_codes", "report", "asking", "opening", "searching"},
}
"""Files beside the rooms that a room needs too."""


@pytest.mark.parametrize(("folder", "room"), [(folder, room) for folder in ROOMS for room in ROOMS[folder]])
def test_rooms_need_each_other_one_way(folder: str, room: str) -> None:
    package = package_of(ROOT / folder)
    before = ROOMS[folder][: ROOMS[folder].index(room)]
    allowed = {room, *before, *BESIDE_ROOMS.get(room, ())}
    files = sorted((ROOT / folder / room).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            if is_inside(name, package):
                inside = name.removeprefix(package).split(".")[1:2]
                assert allowed.issuperset(inside), f"{path} imports {name}"


def test_the_engine_has_no_clock_process_thread_or_global_random_numbers() -> None:
    banned = {"time", "random", "os", "pathlib", "datetime", "secrets"}
    banned |= {"subprocess", "multiprocessing", "signal", "threading", "atexit", "socket", "asyncio"}
    global_numbers = re.compile(r"np\.random(?!\.Generator\b|\.default_rng\(\w)")  # or of no seed
    for path in sorted((ROOT / "engine").rglob("*.py")):
        names = imports(path)
        used = {name.split(".")[0] for name in names} & banned
        assert not used, path
        assert "numpy.random" not in names, path
        assert not global_numbers.search(path.read_text(encoding="utf-8")), path


def printed(code: str) -> str:
    """What a fresh interpreter prints that runs this to its end."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_imports_neither_llama_cpp_nor_huggingface_hub() -> None:
    code = (
        "import sys; sys.argv = ['adascale', '--help']\n"
        "from adascale.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'llama_cpp', 'huggingface_hub', 'numpy', 'httpx2', 'unearth', 'gguf', 'sympy'}\n"
        "heavy |= {'jsonschema', 'mcp', 'pydantic', 'starlette', 'uvicorn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    assert "ask" in printed(code)


def test_the_first_line_of_ask_waits_for_nothing_that_draws_a_search() -> None:
    code = (
        "import sys\n"
        "import adascale.cli.commands.ask, adascale.cli.render.views\n"
        "late = {'cli.render.picture', 'cli.report', 'models.worker.client'}\n"
        "late = {f'adascale.{name}' for name in late} & set(sys.modules)\n"
        "assert not late, late\n"
    )
    printed(code)


@pytest.mark.parametrize("name", ["ask", "batch", "replay", "calibrate"])
def test_a_core_command_imports_no_satellite(name: str) -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        f"import adascale.cli.commands.{name}, adascale.cli.report, adascale.cli.searching\n"
        "for room in ('disk', 'render'):\n"
        "    package = importlib.import_module(f'adascale.cli.{room}')\n"
        "    for module in pkgutil.iter_modules(package.__path__, f'{package.__name__}.'):\n"
        "        if module.name != 'adascale.cli.commands.export':\n"
        "            importlib.import_module(module.name)\n"
        "rooms = ('adascale.codetasks', 'adascale.export', 'adascale.labels', 'adascale.serve')\n"
        "found = [name for name in sys.modules if name.startswith(rooms)]\n"
        "assert not found, found\n"
    )
    printed(code)


def test_a_question_and_a_replay_need_no_satellite() -> None:
    code = f"""
import random, sys
sys.path.insert(0, {str(ROOT / "tests" / "lib")!r})
from adascale.cli.app import main
from adascale.engine.ports import Prefix, SequenceLogprob
from scripted import ScriptedPolicy, scripted_step
from adascale.engine.search.driver import Driver
from adascale.engine.request import Settings
from adascale.engine.strategies import Vote
from adascale.engine.types import Problem
import adascale.models.session, adascale.models.questions

policy = ScriptedPolicy(lambda prefix, rng: scripted_step("It is 4.", "stop"))
driver = Driver(policy, SequenceLogprob(), {{}}, lambda: 0.0)
problems = [Problem("1", "2 + 2?", "4"), Problem("2", "hi", kind="text")]
assert list(driver.run(problems, Settings(Vote(2))))
sys.argv = ["adascale", "replay", {str(ROOT / "tests" / "golden" / "adaptive.jsonl")!r}, "-q"]
try:
    main()
except SystemExit:
    pass
rooms = ("codetasks", "export", "labels", "serve", "engine.calibration.fit")
found = [name for name in sys.modules if name.startswith(tuple(f"adascale.{{room}}" for room in rooms))]
assert not found, found
"""
    printed(code)
