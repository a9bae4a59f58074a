"""Files are replaced whole, whoever else writes and whatever goes wrong."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adascale.models.storage import atomic_write, keyed_path, read_json


def _write_often(path: Path, letter: bytes) -> None:
    for _ in range(20):
        with atomic_write(path) as file:
            for _ in range(16):
                file.write(letter * (1 << 16))


def test_two_writers_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(_write_often, path, letter) for letter in (b"a", b"b")]
        while not all(writer.done() for writer in writers):
            if path.exists():
                assert path.read_bytes() in (b"a" * (1 << 20), b"b" * (1 << 20))
        assert [writer.result() for writer in writers] == [None, None]
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail_half_way() -> None:
        with atomic_write(path) as file:
            file.write(b"half of the n")
            raise error

    with pytest.raises(type(error)):
        fail_half_way()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_process_that_is_killed_while_it_writes_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import os, pathlib, sys\n"
        "from adascale.models.storage import atomic_write\n"
        "with atomic_write(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert path.read_text() == "old"
    with atomic_write(path) as file:  # what it left is in nobody's way
        file.write(b"new")
    assert path.read_text() == "new"


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to("real")
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    for text in ("{", "[" * 100_000):
        (tmp_path / "file").write_text(text)
        assert read_json(tmp_path / "file") is None
    assert read_json(tmp_path / "none") is None


def test_a_keyed_path_depends_on_every_part_and_not_on_the_order_of_keys(tmp_path: Path) -> None:
    path = keyed_path(tmp_path, ["model", {"b": 1, "a": 2}], ".json")
    assert path == keyed_path(tmp_path, ["model", {"a": 2, "b": 1}], ".json")
    assert path != keyed_path(tmp_path, ["model", {"a": 2, "b": 2}], ".json")
    assert path.parent == tmp_path
    assert len(path.stem) == 24
    assert path.suffix == ".json"


def test_a_device_or_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (Path(os.devnull), pipe):
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with atomic_write(path) as file:
            file.write(b"new")
        assert os.read(reader, 9) == (b"new" if path == pipe else b"")
        os.close(reader)
        assert not path.is_file()
    assert os.listdir(tmp_path) == ["pipe"]


@pytest.mark.parametrize("name", ["XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT"])
def test_an_empty_variable_is_one_that_is_not_set(name: str, tmp_path: Path) -> None:
    code = (
        "from adascale.models.files.cache import cache_dir; from huggingface_hub import constants\n"
        "print(cache_dir(), constants.ENDPOINT)"
    )
    others = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
    env = {**others, "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path), name: ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / ".cache/huggingface/hub"), "https://huggingface.co"]
