from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lying_server as lies
import pytest
from lying_server import delta, plays
from other_server import KEY, Other, Reply, is_silent, other_server

from adascale.engine.errors import AdascaleError, ModelNotFoundError
from adascale.engine.types import Notice
from adascale.models.upstream import client
from adascale.models.upstream import probe as module
from adascale.models.upstream.address import Address
from adascale.models.upstream.probe import local_servers, probe
from adascale.models.upstream.servers import Facts, parameters_of


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def lists(*names: str, owner: str = "", **more: object) -> dict[str, object]:
    return {"object": "list", "data": [{"id": name, "owned_by": owner, **more} for name in names]}


@contextmanager
def playing(reply: Reply | None = None, **pages: object) -> Iterator[Other]:
    with other_server(reply or plays()) as server:
        server.pages = {"/v1/models": lists("tiny"), **pages}
        yield server


def asked_of(server: Other) -> Facts:
    return probe(Address.parse(server.url))


LLAMA = {
    "/v1/models": lists("q.gguf", owner="llamacpp", meta={"n_params": 1_543_714_304, "n_ctx_train": 32768}),
    "/props": {"total_slots": 8, "default_generation_settings": {"n_ctx": 4096}},
}
OLLAMA = {
    "/v1/models": lists("qwen3:4b", "all-minilm-embed", owner="library"),
    "/api/tags": {"models": [{"name": "qwen3:4b", "details": {"parameter_size": "4.02B"}}]},
    "/api/ps": {"models": [{"name": "other"}, {"name": "qwen3:4b", "context_length": 4096}]},
}
LM_STUDIO = {
    "/v1/models": lists("gemma-3-270m-it-qat", "text-embedding-nomic", owner="organization_owner"),
    "/api/v1/models": {
        "models": [
            {
                "key": "gemma-3-270m-it-qat",
                "params_string": "270M",
                "loaded_instances": [{"config": {"context_length": 8192, "parallel": 4}}],
            }
        ]
    },
    "/api/tags": {"error": "Unexpected endpoint or method. (GET /api/tags)"},
}
VLLM = {"/v1/models": lists("Qwen/Qwen3-30B-A3B", owner="vllm", max_model_len=40960)}
OURS = {
    "/v1/models": lists("qwen2.5-0.5b", owner="adascale"),
    "/api/ps": {"models": [{"name": "qwen2.5-0.5b:latest", "context_length": 2048}]},
}
KWARGS = {"chat_template_kwargs": {"enable_thinking": False}}
BOTH_KWARGS = {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}


@pytest.mark.parametrize(
    ("pages", "server", "numbers", "unthinking"),
    [
        (LLAMA, "llama-server", (1_543_714_304, 4096, 8), KWARGS),
        (OLLAMA, "Ollama", (4.02e9, 4096, 1), {"reasoning_effort": "none"}),
        (LM_STUDIO, "LM Studio", (0.27e9, 8192, 4), {}),
        (VLLM, "vLLM", (pytest.approx(9.49e9, rel=1e-3), 40960, 64), BOTH_KWARGS),
        (
            {"/v1/models": lists("m", owner="sglang", max_model_len=512)},
            "SGLang",
            (None, 512, 64),
            BOTH_KWARGS,
        ),
        (OURS, "adascale", (0.5e9, 2048, 8), None),
        ({"/v1/models": lists("m", owner="me")}, "", (None, None, 4), {}),
        ({"/v1/models": lists("m", max_model_len=512)}, "", (None, 512, 4), {}),
        ({"/v1/models": lists("m", context_length=512)}, "", (None, 512, 4), {}),
    ],
)
def test_a_server_is_known_by_its_answers(
    pages: Mapping[str, object],
    server: str,
    numbers: tuple[object, ...],
    unthinking: Mapping[str, Any] | None,
) -> None:
    with playing(**pages) as other:
        facts = asked_of(other)
        (_, _, body), *_ = other.asked
    assert (facts.server, facts.parameters, facts.context, facts.places) == (server, *numbers)
    assert facts == Facts(
        server, facts.model, facts.parameters, facts.context, facts.places, True, True, True
    )
    names = {"chat_template_kwargs", "reasoning_effort"}
    switched = {"reasoning_effort": "chat"} if unthinking is None else unthinking
    assert {name: value for name, value in body.items() if name in names} == switched


def test_some_servers_have_to_be_told_that_a_message_goes_on() -> None:
    for pages, told in ((OLLAMA, None), (LLAMA, True), (VLLM, True)):
        with playing(**pages) as server:
            asked_of(server)
            [body] = [body for _, _, body in server.asked if body["messages"][-1]["role"] == "assistant"]
        assert body.get("continue_final_message") is told


@pytest.mark.parametrize(
    ("lie", "fact", "cost"),
    [
        ({"logprobs": False}, {"logprobs": False}, "no log-probabilities"),
        ({"logprobs": None}, {"logprobs": False}, "no log-probabilities"),
        ({"continues": False}, {"continues": False}, "no continued messages"),
        ({"repeats": True}, {"continues": False}, "no continued messages"),
        ({"schema": False}, {"schema": False}, "no JSON schema"),
        ({"thinks": True}, {"thinks": True}, "no way to switch thinking off"),
    ],
)
def test_what_is_dropped_in_silence_is_found_and_said(
    lie: dict[str, Any], fact: dict[str, bool], cost: str
) -> None:
    said: list[Notice] = []
    with playing(plays(**lie)) as server:
        facts = probe(Address.parse(server.url), said.append)
    assert {name: getattr(facts, name) for name in fact} == fact
    [notice] = said
    assert [text.partition(":")[0] for text in notice.facts] == [cost]


def test_a_server_that_has_all_is_not_talked_about() -> None:
    said: list[Notice] = []
    with playing() as server:
        probe(Address.parse(server.url), said.append)
    assert said == []


def test_one_place_is_said_with_what_gives_more() -> None:
    said: list[Notice] = []
    with playing(**OLLAMA) as server:
        facts = probe(Address.parse(server.url), said.append)
    assert (facts.places, [notice.code for notice in said]) == (1, ["upstream-serial"])
    assert "OLLAMA_NUM_PARALLEL" in said[0].hint


def test_what_was_found_is_kept_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = time.time(), list[Notice]()
    with playing(plays(logprobs=False)) as server:
        first = asked_of(server)
        seen = len(server.asked)
        monkeypatch.setattr(module.time, "time", lambda: now + 80_000)
        assert probe(Address.parse(server.url), said.append) == first
        assert (len(server.asked), said) == (seen, [])
        monkeypatch.setattr(module.time, "time", lambda: now + 90_000)
        assert probe(Address.parse(server.url), said.append) == first
        assert len(server.asked) > seen


def test_a_model_is_chosen_by_its_name() -> None:
    with playing(**{"/v1/models": lists("qwen3:4b", "gemma:latest", "text-embedding-3")}) as server:
        for name, model in (("qwen3:4b", "qwen3:4b"), ("GEMMA", "gemma:latest")):
            assert probe(Address.parse(f"{server.url}#{name}")).model == model
        with pytest.raises(ModelNotFoundError, match="has 2 models") as several:
            asked_of(server)
        with pytest.raises(ModelNotFoundError, match="has no model qwen3:8b") as missing:
            probe(Address.parse(f"{server.url}#qwen3:8b"))
    assert several.value.facts == ("qwen3:4b", "gemma:latest")
    assert several.value.hint.endswith("#qwen3:4b")
    assert missing.value.facts == ("qwen3:4b",)


def test_an_alias_or_the_name_of_a_file_is_a_name() -> None:
    with playing(**{"/v1/models": lists("/m/a.gguf", "/m/b.gguf", aliases=["small"])}) as server:
        assert probe(Address.parse(f"{server.url}#small")).model == "/m/a.gguf"
        assert probe(Address.parse(f"{server.url}#b.gguf")).model == "/m/b.gguf"


def test_a_server_without_a_list_is_asked_for_the_name() -> None:
    with playing() as server:
        server.pages = {}
        assert probe(Address.parse(f"{server.url}#gpt")).model == "gpt"
        with pytest.raises(ModelNotFoundError, match="lists no model"):
            asked_of(server)


def test_what_is_no_name_of_a_model_is_not_listed_and_none_has_half_of_a_surrogate_pair() -> None:
    data = [{"id": name} for name in (5, None, ["x"], "", "x" * 7_000_000, "a\ud800")]
    with playing(**{"/v1/models": {"data": data}}) as server:
        assert asked_of(server).model == "a?"


def test_no_number_of_a_server_is_believed_beyond_reason() -> None:
    props = {"total_slots": 10**12, "default_generation_settings": {"n_ctx": math.inf}}
    models = lists("q.gguf", owner="llamacpp", meta={"n_params": math.nan})
    with playing(**{"/v1/models": models, "/props": props}) as server:
        facts = asked_of(server)
    assert (facts.parameters, facts.context, facts.places) == (None, None, 1)


@pytest.mark.parametrize("page", [is_silent, lies.drips(b" "), lies.drips_headers])
def test_a_list_of_models_comes_in_time_or_not_at_all(page: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PAGE", 0.4)
    with playing(**{"/v1/models": page}) as server:
        for seconds, found in ((None, "0.4"), (0.2, "0.2")):
            with pytest.raises(AdascaleError, match=rf"has not sent .*/models for {found} s"):
                probe(Address.parse(server.url), seconds=seconds)


def test_a_probe_ends_within_its_time_whatever_stalls() -> None:
    begun = time.monotonic()
    with playing(lies.holds(delta("Hello")), **{"/api/tags": lies.drips(b" ")}) as server:
        with pytest.raises(AdascaleError, match="has completed no reply"):
            probe(Address.parse(server.url), seconds=0.4)
        server.pages["/v1/models"] = lambda call: call.send(503, b"")
        with pytest.raises(AdascaleError, match="is not ready"):
            probe(Address.parse(server.url), seconds=0.4)
    assert time.monotonic() - begun < 2


def test_an_owner_that_is_no_name_is_none_of_those_known() -> None:
    with playing(**{"/v1/models": {"data": [{"id": "tiny", "owned_by": {"id": "vllm"}}]}}) as server:
        assert asked_of(server).server == ""


def test_a_page_that_is_no_api_is_said() -> None:
    with (
        playing(**{"/v1/models": ["hello"]}) as server,
        pytest.raises(AdascaleError, match="no chat completion"),
    ):
        asked_of(server)


def test_the_key_goes_along_with_every_request() -> None:
    with playing(**LLAMA) as server:
        probe(Address.parse(server.url, KEY))
        keys = {key for _, key in server.seen} | {
            headers.get("authorization") for _, headers, _ in server.asked
        }
    assert keys == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("text", "billions"),
    [
        ("4B", 4),
        ("494.03M", 0.49403),
        ("qwen2.5-coder-1.5b", 1.5),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", 7),
        ("qwen3:4b", 4),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", 0.135),
        ("Qwen3-30B-A3B", 90**0.5),
        ("gpt-4o", None),
        ("", None),
        ("mixtral-8x7b", None),
        ("b4", None),
        ("0B", None),
    ],
)
def test_a_size_is_read_from_a_name(text: str, billions: float | None) -> None:
    found = parameters_of(text)
    assert found == (None if billions is None else pytest.approx(billions * 1e9))


def test_servers_on_the_usual_ports_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(**OLLAMA) as ollama, playing() as page, socket.socket() as closed:
        page.pages = {}
        closed.bind(("127.0.0.1", 0))
        ports = [closed.getsockname()[1], *(int(each.url.rpartition(":")[2]) for each in (page, ollama))]
        monkeypatch.setattr(module, "LOCAL_PORTS", dict.fromkeys(ports, ""))
        [(address, server, names)] = local_servers()
        assert (address.root, server, names) == (ollama.url, "Ollama", ["qwen3:4b"])
