from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from commands import invoked
from typer.testing import CliRunner

from adascale.cli.app import app
from adascale.cli.terminal import progress
from adascale.cli.terminal.errors import as_typed
from adascale.cli.terminal.progress import TransferView
from adascale.engine.errors import ModelNotFoundError, UsageError
from adascale.models.files.cache import Transfer
from adascale.models.files.catalog import ModelSpec, catalog
from adascale.models.files.library import locate

from .net import Net, make_spec


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adascale.models.upstream.probe.LOCAL_PORTS", {})


@pytest.fixture
def tiny(gguf: bytes, net: Net) -> ModelSpec:
    spec = net.know(make_spec(gguf, packages=2))
    net.index(spec, gguf)
    return spec


def test_list_is_a_plain_table_and_json_lines(tiny: ModelSpec) -> None:
    assert invoked("list")[0] == (
        "NAME  SIZE   MEMORY  HERE  TRIED  WHAT IT IS\n"
        "tiny  18 kB  ?       -     run    for tests\n"
    )  # fmt: skip
    assert invoked("pull", "tiny")[0] == ""
    assert "tiny  18 kB  ?       here  run" in invoked("list")[0]
    entry = json.loads(invoked("list", "--json")[0])
    assert (entry["schema"], entry["name"], entry["here"]) == ("adascale.model/1", "tiny", True)
    assert entry["sha256"] == tiny.sha256


def test_list_is_short_until_all_is_asked_for(net: Net) -> None:
    short, said = invoked("list")
    long, names = invoked("list", "--all")[0], [*catalog()]
    assert len((short + said).splitlines()) < 12
    assert all(f"\n{name} " in long for name in names)
    assert f"adascale list --all shows {len(names) - len(short.splitlines()) + 1} more" in said
    assert len(invoked("list", "--json")[0].splitlines()) == len(names)


def test_what_was_not_run_here_says_so(net: Net) -> None:
    assert re.search(r"^gemma-4-e4b .* card ", invoked("list")[0], re.MULTILINE)
    assert "card (by its card, not run here)" in invoked("list")[1]
    shown = invoked("show", "qwen3.5-4b")[0]
    assert "by its card, not run here" in shown
    assert re.search(r"sampler maths +temperature 1, top_p 1, top_k 40, presence_penalty 2\n", shown)


@pytest.mark.parametrize(
    ("free", "names"),
    [
        (1.2e9, ["qwen2.5-coder-0.5b", "smollm2-135m"]),
        (4.1e9, ["qwen2.5-coder-1.5b", "minicpm5-2b", "gemma-4-e2b"]),
        (64e9, ["qwen2.5-coder-1.5b", "gemma-4-e4b", "qwen3.5-4b"]),
    ],
)
def test_pull_without_a_name_proposes_three_that_fit(
    free: float, names: list[str], net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adascale.models.machine.free_memory_bytes", lambda: int(free))
    lines = invoked("pull")[0].splitlines()
    assert [line.split()[0] for line in lines[1:]] == names
    assert all(len(line) <= 80 for line in lines)
    assert {"Apache-2.0"} == {line.split()[3] for line in lines[1:]}


def test_list_shows_what_other_programs_keep(tiny: ModelSpec, tmp_path: Path, gguf: bytes) -> None:
    folder = tmp_path / "home/.lmstudio/models/someone/m-GGUF"
    folder.mkdir(parents=True)
    (folder / "m-Q4_0.gguf").write_bytes(gguf)
    (folder / "big-Q8_0-00001-of-00002.gguf").write_bytes(gguf)  # no model in one file
    out, said = invoked("list")
    row = out.splitlines()[1]
    assert row.split() == ["lmstudio:someone/m-GGUF:Q4_0", "18", "kB", "?", "here", "-"]
    assert "1 model here, 18 kB" in said
    facts = json.loads(invoked("show", "lmstudio:someone/m-GGUF:Q4_0", "--json")[0])
    assert (facts["path"], facts["architecture"]) == (str(folder / "m-Q4_0.gguf"), "llama")


def test_show_tells_what_the_file_says(tiny: ModelSpec, tmp_path: Path, gguf: bytes) -> None:
    facts = json.loads(invoked("show", "tiny", "--json")[0])
    assert (facts["here"], facts["path"], facts["architecture"]) == (False, None, None)
    invoked("pull", "tiny")
    facts = json.loads(invoked("show", "tiny", "--json")[0])
    assert (facts["architecture"], facts["parameters"]) == ("llama", 64 * 64 + 32 * 8)
    assert "licence             MIT\n" in invoked("show", "tiny")[0]
    own = tmp_path / "own.gguf"
    own.write_bytes(gguf)
    assert json.loads(invoked("show", str(own), "--json")[0])["path"] == str(own)


def test_rm_asks_first(tiny: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    invoked("pull", "tiny")
    with pytest.raises(UsageError) as raised:
        invoked("rm", "tiny")
    assert as_typed(raised.value.hint) == "adascale rm tiny --yes"
    monkeypatch.setattr("adascale.cli.commands.models.is_interactive", lambda: True)
    for answer in ("\n", "n\n", ""):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert not progress.confirm("delete?", default=False)
    monkeypatch.setattr("adascale.cli.commands.models.confirm", lambda question, default: default)
    declined = CliRunner().invoke(app, ["rm", "tiny"])
    assert (declined.exit_code, declined.stderr) == (1, "nothing was deleted\n")
    assert locate("tiny") is not None
    assert invoked("rm", "tiny", "-y")[1] == "removed tiny, 18 kB freed\n"
    with pytest.raises(ModelNotFoundError):
        invoked("rm", "tiny", "-y")


@pytest.mark.parametrize(
    ("error", "end"),
    [(RuntimeError, ""), (KeyboardInterrupt, "adascale: the same command continues the download\n")],
)
def test_a_failed_download_is_not_called_pulled(
    error: type[BaseException], end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        with TransferView() as view:
            view.on_progress(Transfer("m", 1, 2))
            raise error

    with pytest.raises(error):
        fail()
    said = capsys.readouterr().err
    assert "pulled" not in said
    assert said.endswith(end)
