"""Calibrations of others, fetched from a Hub on the loopback interface."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import hub
import pytest
from commands import invoked
from loopback import Server, serving

from adascale.cli.commands import calibrate
from adascale.engine.errors import (
    CalibrationError,
    ModelCorruptError,
    ModelNotFoundError,
    ModelUnavailableError,
    UsageError,
    setting,
)
from adascale.models.calibration import shared
from adascale.models.calibration.artefact import SUFFIX, Fingerprint, load_artefact, save_artefact
from adascale.models.calibration.installed import (
    own_folder,
    pulled_folder,
    read_installed,
    shipped_folder,
)

SOURCE = shipped_folder() / f"smollm2-135m+probe{SUFFIX}"
NAME = f"m+probe{SUFFIX}"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for key in [key for key in os.environ if key.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))]:
        monkeypatch.delenv(key)
    for key in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "HF_HOME", "OLLAMA_MODELS"):
        monkeypatch.setenv(key, str(tmp_path / key.lower()))
    with serving() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    """A calibration for a generator that nothing ships for."""
    artefact = load_artefact(SOURCE)
    card = replace(
        artefact.card, name="m+probe", fingerprint=replace(artefact.card.fingerprint, generator="f" * 64)
    )
    save_artefact(replace(artefact, card=card), tmp_path / NAME)
    return (tmp_path / NAME).read_bytes()


def is_known(used: Fingerprint) -> bool:
    return read_installed().find(used) is not None


def test_a_repository_is_pulled_and_used_for_its_generator_alone(server: Server, data: bytes) -> None:
    hub.publish(server, "a/b", {NAME: data, f"sub/other{SUFFIX}": SOURCE.read_bytes(), "README.md": b"#"})
    other = load_artefact(SOURCE).card.fingerprint
    used = replace(other, generator="f" * 64)
    assert not is_known(used)
    found = shared.pull("hf:a/b")
    assert [artefact.path for artefact in found] == [
        pulled_folder() / name for name in (f"a--b--{NAME}", f"a--b--sub--other{SUFFIX}")
    ]
    kept = read_installed().find(used)
    assert kept is not None
    assert (kept.card.name, kept.path) == ("m+probe", found[0].path)
    assert not is_known(replace(used, generator="e" * 64))


def test_ones_own_comes_before_a_pulled_one_and_that_before_one_that_ships(server: Server) -> None:
    hub.publish(server, "a/b", {NAME: SOURCE.read_bytes()})
    used = load_artefact(SOURCE).card.fingerprint

    def folder() -> Path:
        found = read_installed().find(used)
        assert found is not None
        assert found.path is not None
        return found.path.parent

    assert folder() == shipped_folder()
    shared.pull("hf:a/b")
    assert folder() == pulled_folder()
    save_artefact(load_artefact(SOURCE), own_folder() / NAME)
    assert folder() == own_folder()


def test_one_file_of_a_repository(server: Server, data: bytes) -> None:
    hub.publish(server, "a/b", {NAME: data, f"other{SUFFIX}": SOURCE.read_bytes()})
    [found] = shared.pull(f"hf:a/b/other{SUFFIX}")
    assert found.card.name == "smollm2-135m+probe"
    with pytest.raises(ModelNotFoundError, match=r"a/b has no calibration x") as raised:
        shared.pull(f"hf:a/b/x{SUFFIX}")
    assert raised.value.facts == (f"it has {NAME}, other{SUFFIX}",)


def test_a_repository_without_one(server: Server) -> None:
    hub.publish(server, "a/b", {"README.md": b"#"})
    with pytest.raises(ModelNotFoundError, match="a/b has no calibration") as raised:
        shared.pull("hf:a/b")
    assert raised.value.facts == (f"it has no file that ends with {SUFFIX}",)


@pytest.mark.parametrize("ref", ["a/b", "hf:a", "hf:a/b/", "hf:../b", "https://huggingface.co/a/b", ""])
def test_what_is_no_repository(server: Server, ref: str) -> None:
    with pytest.raises(UsageError, match="is no repository of the Hub"):
        shared.pull(ref)


@pytest.mark.parametrize("content", [b"no safetensors", b"\0" * 100], ids=["text", "zeros"])
def test_what_is_no_calibration_is_not_kept(server: Server, data: bytes, content: bytes) -> None:
    hub.publish(server, "a/b", {f"a{SUFFIX}": data, f"b{SUFFIX}": content})
    with pytest.raises(CalibrationError, match=rf"^a/b/b{SUFFIX} ") as raised:
        shared.pull("hf:a/b")
    assert raised.value.hint == "ask whoever published it"
    assert not pulled_folder().exists()


def test_a_portable_one_of_others_is_refused(server: Server, tmp_path: Path) -> None:
    card = load_artefact(SOURCE).card
    path = tmp_path / "portable"
    anyones = replace(card, fingerprint=replace(card.fingerprint, generator=""))
    save_artefact(replace(load_artefact(SOURCE), card=anyones), path)
    hub.publish(server, "a/b", {f"portable{SUFFIX}": path.read_bytes()})
    with pytest.raises(CalibrationError, match="it would be used for every model") as raised:
        shared.pull("hf:a/b")
    assert raised.value.hint == f"download it, and {setting('calibration', f'./portable{SUFFIX}')}"
    assert not pulled_folder().exists()


def test_other_bytes_than_were_published_are_refused(server: Server, data: bytes) -> None:
    hub.publish(server, "a/b", {NAME: data})
    server.add(f"/a/b/resolve/{hub.COMMIT}/{quote(NAME)}", data[:-1] + b"?")
    with pytest.raises(ModelCorruptError, match="is not the file that was published") as raised:
        shared.pull("hf:a/b")
    assert (raised.value.slug, "HF_ENDPOINT" in raised.value.hint) == ("bad-checksum", True)
    assert not pulled_folder().exists()


def test_an_absurd_size_is_not_fetched(server: Server) -> None:
    hub.publish(server, "a/b", {NAME: 65_000_000})
    with pytest.raises(CalibrationError, match="65,000,000 bytes, more than a calibration can") as raised:
        shared.pull("hf:a/b")
    assert raised.value.hint == "ask whoever published it"


def test_a_repository_of_thousands_is_not_fetched(server: Server, data: bytes) -> None:
    hub.publish(server, "a/b", {f"m{n}{SUFFIX}": data for n in range(51)})
    with pytest.raises(UsageError, match="51 calibrations") as caught:
        shared.pull("hf:a/b")
    assert not any("/resolve/" in path for path in server.asked)
    assert f"hf:a/b/m0{SUFFIX}" in caught.value.hint
    assert len(shared.pull(f"hf:a/b/m7{SUFFIX}")) == 1


def test_offline_is_offline(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError, match="offline mode is on"):
        shared.pull("hf:a/b")
    assert not server.asked


def test_what_is_pulled_is_told_and_listed(server: Server, data: bytes) -> None:
    hub.publish(server, "a/b", {NAME: data})
    listed, said = invoked(calibrate.app, "pull", "hf:a/b")
    assert said == f"adascale: m+probe is for a model that is not listed here (sha256 {'f' * 12})\n"
    assert listed.splitlines()[1].startswith("m+probe")
    told, _ = invoked(calibrate.app, "pull", "hf:a/b", "--json")
    assert json.loads(told)["fingerprint"]["generator"] == "f" * 64
    assert invoked(calibrate.app, "show", "m+probe", "--json")[0] == told
    with pytest.raises(CalibrationError, match="there is no calibration nothing"):
        invoked(calibrate.app, "show", "nothing")
