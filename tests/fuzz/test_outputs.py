"""Outputs whose place is taken: a command replaces what adascale wrote there, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from commands import clean_env
from hypothesis import strategies as st
from inprocess import run_here

from .conftest import GOLDEN, SHIPPED, Fuzz, is_orderly
from .forks import Exit
from .mutations import mutated_bytes

TRACE = GOLDEN / "vote.jsonl"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
HEADS = [
    *(b"GGUF\x03\0\0\0" + bytes(40), b"<!DOCTYPE html>\n<title>mine</title>", b"<svg></svg>", PNG, b"{}\n"),
    *(b"print(1)\n", b"a,b\n1,2\n", TRACE.read_bytes()[:400], SHIPPED.read_bytes()[:400]),
]
COMMANDS = [
    ("ask", "1 + 1?", "-g", "none.gguf", "--trace", "OUT"),
    ("code", "Square n.", "-g", "none.gguf", "--trace", "OUT"),
    ("code", "Square n.", "-g", "none.gguf", "-o", "OUT"),
    ("batch", "QUESTIONS", "-g", "none.gguf", "-o", "OUT"),
    ("eval", "QUESTIONS", "-g", "none.gguf", "--plot", "OUT.svg"),
    ("calibrate", "fit", "-g", "none.gguf", "-d", "QUESTIONS", "-o", "OUT"),
    ("tree", str(TRACE), "-o", "OUT.html"),
    ("tree", str(TRACE), "-f", "json", "-o", "OUT"),
    ("export", "--from", str(TRACE), "--to", "sft", "-o", "OUT.jsonl"),
]
"""None of them opens a model, for there is none; the last three write."""
PLACES = ("file", "link", "input", "folder", "loop", "device", "long", "odd")
"""What stands at the output's name."""


def may_be_ours(command: Sequence[str], data: bytes) -> bool:
    """True for data that adascale may have written to such an output."""
    return data.startswith(b'{"kind":"search_started"') if "--trace" in command else b"adascale" in data


def encoded(command: int, place: str, data: bytes) -> bytes:
    return bytes([command, PLACES.index(place)]) + data


def stand(place: str, path: Path, data: bytes, folder: Path) -> Path:
    """Put something where an output goes; returns the path that a command is told."""
    match place:
        case "file":
            path.write_bytes(data)
        case "link":
            (folder / "target").write_bytes(data)
            path.symlink_to(folder / "target")
        case "input":
            path.hardlink_to(folder / "questions")
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path)
        case "device":
            path.symlink_to(os.devnull)
        case "long":
            return path.with_name("x" * 300 + path.suffix)
        case _:
            return path.with_name("\x1b[2J\u202e\udcff -rf" + path.suffix)
    return path


def test_no_command_replaces_a_file_of_something_else(fuzz: Fuzz, tmp_path: Path) -> None:
    env = clean_env(tmp_path) | {"HF_HUB_OFFLINE": "1", "ADASCALE_CONFIG": str(tmp_path / "c.toml")}
    questions = tmp_path / "questions"
    asked = "".join(f'{{"id": {n}, "question": "{n} + 1?", "answer": "{n + 1}"}}\n' for n in range(45))

    def run_on(command: Sequence[str], path: Path) -> None:
        told = {"QUESTIONS": str(questions)}
        words = [str(path) if word.startswith("OUT") else told.get(word, word) for word in command]
        ended = run_here(env, *words)
        assert is_orderly(Exit(ended.returncode, ended.stderr, 0)), ended
        assert ended.returncode == 0 or "hint: " in ended.stderr, ended

    def check(data: bytes) -> None:
        command, place, data = COMMANDS[data[0] % len(COMMANDS)], PLACES[data[1] % len(PLACES)], data[2:]
        questions.write_text(asked)
        [name] = (word for word in command if word.startswith("OUT"))
        path = stand(place, tmp_path / name, data, tmp_path)
        try:
            run_on(command, path)
            assert questions.read_text() == asked
            if place in ("file", "link") and data and not may_be_ours(command, data):
                assert path.read_bytes() == data, (command, place)
        finally:
            (tmp_path / "target").unlink(missing_ok=True)
            if os.path.isdir(path) and not path.is_symlink():
                path.rmdir()
            elif os.path.lexists(path):
                path.unlink()

    for number, _ in enumerate(COMMANDS):
        for head in HEADS:
            check(encoded(number, "file", head))
    places = st.sampled_from(["file", "file", "link", *PLACES])
    drawn = st.tuples(st.integers(0, len(COMMANDS) - 1), places, mutated_bytes(HEADS, first=80))
    fuzz("outputs-taken", 60, drawn.map(lambda each: encoded(*each)), check)
