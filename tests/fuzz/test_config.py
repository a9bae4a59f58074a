"""Config files that are damaged: a command runs with what is right in them, or names the file and ends."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from commands import clean_env
from inprocess import run_here

from .conftest import Fuzz, is_orderly
from .forks import Exit
from .mutations import encode_json, mutated_bytes, mutated_json

SETTINGS = {"effort": "high", "threads": 4, "min_confidence": 0.5, "budget": "900", "model": "none.gguf"}
COMMANDS = {("config", "show"): 0, ("list",): 0, ("ask", "1 + 1?"): 4}
"""Commands that read the config file, and their exit codes with ``SETTINGS``, whose model is not there."""


def test_config_files(fuzz: Fuzz, tmp_path: Path) -> None:
    odd = [
        b"threads = 4\n[batch]\nparallel = 16\n", b"a = " + b"[" * 2_000, b"a = " + b"9" * 6_000,
        b'generator = """\n' + b"x" * 9_000 + b'"""\n',
    ]  # fmt: skip
    path = tmp_path / "config.toml"
    env = clean_env(tmp_path) | {"HF_HUB_OFFLINE": "1", "ADASCALE_CONFIG": str(path)}

    def run_with(data: bytes, command: tuple[str, ...]) -> int:
        path.write_bytes(data)
        ended = run_here(env, *command)
        assert is_orderly(Exit(ended.returncode, ended.stderr, 0)), (command, ended)
        return ended.returncode

    def check(data: bytes) -> None:
        run_with(data, [*COMMANDS][zlib.crc32(data) % len(COMMANDS)])

    for command, code in COMMANDS.items():
        assert run_with(encode_settings(SETTINGS), command) == code
        for each in odd:
            run_with(each, command)
    torn = mutated_bytes([encode_settings(SETTINGS), *odd])
    files = mutated_json(SETTINGS).map(encode_settings) | torn
    fuzz("config", 60, files, check)


def encode_settings(values: Mapping[str, Any]) -> bytes:
    """A config file; TOML has the strings, numbers and booleans of JSON, and arrays."""
    return b"".join(b"%s = %s\n" % (key.encode(), encode_json(value)) for key, value in values.items())
