from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import replies
from loopback import KEY, Reply, WebServer, listening
from replies import is_silent, writes_words

from adascale.engine.errors import AdascaleError, ModelNotFoundError
from adascale.models.options import SamplingParams
from adascale.models.upstream import client
from adascale.models.upstream import probe as module
from adascale.models.upstream.address import Address
from adascale.models.upstream.probe import local_servers, probe
from adascale.models.upstream.servers import SERVERS, Server, parameters_of


def lists(*names: str, owner: str = "", **more: object) -> dict[str, object]:
    return {"object": "list", "data": [{"id": name, "owned_by": owner, **more} for name in names]}


@contextmanager
def playing(**pages: object) -> Iterator[WebServer]:
    with listening(writes_words("Hello.")) as server:
        server.show({"/v1/models": lists("tiny"), **pages})
        yield server


def asked_of(server: WebServer) -> Server:
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


@pytest.mark.parametrize(
    ("pages", "name", "numbers"),
    [
        (LLAMA, "llama-server", (1_543_714_304, 4096, 8)),
        (OLLAMA, "Ollama", (4.02e9, 4096, 1)),
        (LM_STUDIO, "LM Studio", (0.27e9, 8192, 4)),
        (VLLM, "vLLM", (pytest.approx(9.49e9, rel=1e-3), 40960, 64)),
        ({"/v1/models": lists("m", owner="sglang", max_model_len=512)}, "SGLang", (None, 512, 64)),
        (OURS, "adascale", (0.5e9, 2048, 8)),
        ({"/v1/models": lists("m", owner="me")}, "", (None, None, 4)),
        ({"/v1/models": lists("m", max_model_len=512)}, "", (None, 512, 4)),
        ({"/v1/models": lists("m", context_length=512)}, "", (None, 512, 4)),
    ],
)
def test_a_server_is_known_by_its_answers_and_nothing_is_written_for_it(
    pages: Mapping[str, object], name: str, numbers: tuple[object, ...]
) -> None:
    with playing(**pages) as other:
        server = asked_of(other)
    assert (server.name, server.parameters, server.context, server.places) == (name, *numbers)
    assert not other.asked


SWITCH = {"chat_template_kwargs": {"enable_thinking": False}}
BOTH = {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}
GOES_ON = {"continue_final_message": True, "add_generation_prompt": False}


@pytest.mark.parametrize(
    ("name", "unthinking", "continuing"),
    [
        ("llama-server", SWITCH, GOES_ON),
        ("vLLM", BOTH, GOES_ON),
        ("SGLang", BOTH, GOES_ON),
        ("Ollama", {"reasoning_effort": "none"}, {}),
        ("adascale", {"reasoning_effort": "chat"}, {}),
        ("LM Studio", {}, {}),
    ],
)
def test_a_server_is_told_not_to_think_and_to_go_on_in_its_own_words(
    name: str, unthinking: Mapping[str, Any], continuing: Mapping[str, Any]
) -> None:
    [server] = [each for each in SERVERS if each.name == name]
    messages = [{"role": "user", "content": "2 + 2?"}]
    whole = server.body(messages, SamplingParams())
    assert whole.items() >= unthinking.items()
    begun = server.body([*messages, {"role": "assistant", "content": "It is"}], SamplingParams())
    assert {key: value for key, value in begun.items() if key not in whole} == continuing


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
        server.show({})
        assert probe(Address.parse(f"{server.url}#gpt")).model == "gpt"
        with pytest.raises(ModelNotFoundError, match="has 0 models"):
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


@pytest.mark.parametrize("page", [is_silent, replies.drips(b" ")])
def test_a_list_of_models_comes_in_time_or_not_at_all(page: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PAGE", 0.4)
    with playing(**{"/v1/models": page}) as server:
        for seconds, found in ((None, "0.4"), (0.2, "0.[12]")):
            with pytest.raises(AdascaleError, match=rf"has not sent .*/models for {found} s"):
                probe(Address.parse(server.url), seconds=seconds)


def test_a_probe_ends_within_its_time_whatever_stalls() -> None:
    begun = time.monotonic()
    with playing(**{"/api/tags": replies.drips(b" ")}) as server:
        assert probe(Address.parse(server.url), seconds=0.4).name == ""
        server.hooks["/v1/models"] = replies.errs(503, "")
        with pytest.raises(AdascaleError, match="is not ready"):
            probe(Address.parse(server.url), seconds=0.4)
    assert time.monotonic() - begun < 2


def test_an_owner_that_is_no_name_is_none_of_those_known() -> None:
    with playing(**{"/v1/models": {"data": [{"id": "tiny", "owned_by": {"id": "vllm"}}]}}) as server:
        assert asked_of(server).name == ""


def test_a_page_that_is_no_api_is_said() -> None:
    with (
        playing(**{"/v1/models": ["hello"]}) as server,
        pytest.raises(AdascaleError, match="no chat completion"),
    ):
        asked_of(server)


def test_the_key_goes_along_with_every_request() -> None:
    with playing(**LLAMA) as server:
        probe(Address.parse(server.url, KEY))
    assert server.keys == {f"Bearer {KEY}"}


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
        page.show({})
        closed.bind(("127.0.0.1", 0))
        ports = [closed.getsockname()[1], *(int(each.url.rpartition(":")[2]) for each in (page, ollama))]
        monkeypatch.setattr(module, "LOCAL_PORTS", dict.fromkeys(ports, ""))
        [(address, server, names)] = local_servers()
        assert (address.root, server, names) == (ollama.url, "Ollama", ["qwen3:4b"])
