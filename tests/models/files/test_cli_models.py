from __future__ import annotations

import io
import json
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
