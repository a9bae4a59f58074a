"""A search over a server's streams: what is asked, how streams grow, and what becomes of them."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from loopback import listening
from replies import writes_words
from scripted import ScriptedExecutor, logs_of, records_of, scripted_step
from scripted_server import EchoPolicy, served

import adascale
from adascale.engine.calibration.posterior import Posterior
from adascale.engine.errors import UsageError
from adascale.engine.ports import PrefixWork, SequenceLogprob
from adascale.engine.request import Request, SearchRequest, Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import (
    BranchGrew,
    Event,
    OptionsRead,
    SearchFailed,
    SearchFinished,
    StepProposed,
)
from adascale.engine.search.record import Record
from adascale.engine.strategies import Greedy, Vote
from adascale.engine.types import Execution, Problem, SamplingChange
from adascale.models.options import (
    PROGRAM_OPENING,
    PROMPTS,
    SessionOptions,
    samplers,
)
from adascale.models.storage import state_folder
from adascale.models.upstream.client import Chunk
from adascale.models.upstream.policy import QUEUED, UpstreamPolicy
from adascale.models.upstream.servers import SERVERS, Server
from adascale.models.upstream.session import UpstreamSession
from adascale.models.worker.client import Worker
from bench.kept_draws import DrawStore, ReplayingPolicy

Body = Mapping[str, Any]
Words = Callable[[Body], Sequence[Chunk]]
"""Chunks of a stream, which is put in; the last one has an end."""


def words(*pieces: str, logprob: float | None = -1.0) -> list[Chunk]:
    """A chunk a piece, each of one token, and the end."""
    said = [Chunk(0, piece, tokens=1, logprob=logprob) for piece in pieces]
    return [*said, Chunk(0, finish="stop", work=PrefixWork(6, 4))]


@dataclass
class FakeClient:
    """Plays streams, one chunk of each at a time."""

    says: Words
    asked: list[Body] = field(default_factory=list)
    most: int = 0
    streams: list[Future[None]] = field(default_factory=list)
    running: dict[Any, tuple[Iterator[Chunk], Future[None]]] = field(default_factory=dict)

    def start(self, stream: object, body: Body) -> Future[None]:
        self.asked.append(body)
        self.streams.append(future := Future())
        self.running[stream] = iter(self.says(body)), future
        self.most = max(self.most, len(self._open()))
        return future

    def poll(self, seconds: float) -> list[Chunk]:
        found = []
        for stream in reversed(self._open()):
            found.append(chunk := replace(next(self.running[stream][0]), stream=stream))
            if chunk.finish or chunk.error:
                del self.running[stream]
        return found

    def _open(self) -> list[Any]:
        return [stream for stream, (_, future) in self.running.items() if not future.cancelled()]

    @property
    def closed(self) -> list[int]:
        """Streams that were cancelled before their end."""
        left = [future for _, future in self.running.values()]
        return [at for at, future in enumerate(self.streams) if future.cancelled() and future in left]

    def reply(self, body: Body, *limits: object) -> Sequence[Chunk]:
        self.asked.append(body)
        return self.says(body)


[LLAMA] = [each for each in SERVERS if each.name == "llama-server"]
SERVER = replace(LLAMA, model="tiny", parameters=1e9, context=2048, places=4)


def goes_on(body: Body) -> bool:
    return bool(body["messages"][-1]["role"] == "assistant")


def policy_over(says: Words, server: Server = SERVER, **options: Any) -> tuple[UpstreamPolicy, FakeClient]:
    client: Any = FakeClient(says)
    session = SessionOptions("http://127.0.0.1:1", **options)
    by_prompt = samplers(session)
    policy = UpstreamPolicy(client, server, 1e9, by_prompt, session, threading.Event())
    return policy, client


def search(
    says: Words, problem: Problem, settings: Settings | None = None, server: Server = SERVER, **options: Any
) -> tuple[list[Event], FakeClient]:
    """The log of one search, and the client that it ran over."""
    policy, client = policy_over(says, server, **options)
    executor = ScriptedExecutor(lambda program: Execution("18\n", "", 0.0), waits=True)
    judge = {problem.kind: Posterior.of_model(problem.kind, 1e9)}
    driver = Driver(policy, SequenceLogprob(), judge, time.monotonic, executor)
    return [event for _, event in driver.run([problem], settings or Settings(Greedy()))], client


SUM = Problem("1", "What is twice 9?")
STEPS = ("First,", " we add.", "\n\n", "Then we", " multiply.\n\n", "It is \\boxed{18}.")


def texts(log: Sequence[Event]) -> list[str]:
    return [event.step.text for event in log if isinstance(event, StepProposed)]


def test_a_stream_is_cut_at_blank_lines_and_its_tokens_are_counted() -> None:
    log, _ = search(lambda body: words(*STEPS), SUM)
    assert texts(log) == ["First, we add.\n\n", "Then we multiply.\n\n", "It is \\boxed{18}."]
    record = Record.of(log)
    assert record.answer == "18"
    assert record.usage.generated_tokens == len(STEPS) + 1  # that which ends the turn
    assert (record.usage.prompt_tokens, record.usage.reused_tokens) == (6, 4)
    assert record.usage.flops == (len(STEPS) + 1 + 6) * 2e9


def test_a_server_that_cannot_continue_writes_solutions_of_one_step() -> None:
    log, _ = search(lambda body: words(*STEPS), SUM, server=replace(SERVER, continues=False))
    assert texts(log) == ["".join(STEPS)]


def test_a_wrong_sum_is_drawn_again_behind_the_steps_before_it() -> None:
    def says(body: Body) -> list[Chunk]:
        return words(*(["It is \\boxed{18}."] if goes_on(body) else ["So.\n\n", "9 * 2 = 19\n\n", "19"]))

    log, client = search(says, SUM, Settings(Vote(1, redraws=2)))
    first, second = client.asked
    assert second["messages"] == [*first["messages"], {"role": "assistant", "content": "So.\n\n"}]
    assert second["max_tokens"] == first["max_tokens"] - 1
    assert Record.of(log).answer == "18"


@pytest.mark.parametrize("continues", [True, False])
def test_a_program_begins_with_its_fence_where_it_can_and_ends_with_the_next(continues: bool) -> None:
    opening = PROGRAM_OPENING if continues else ""
    pieces = ([] if continues else ["```", "python\n"]) + ["print(9 * 2)\n", "```", "\nAnd now", " for more"]
    log, client = search(
        lambda body: words(*pieces),
        SUM,
        Settings(Greedy(modes=("program",))),
        replace(SERVER, continues=continues),
        system="Be blunt.",
    )
    [body] = client.asked
    assert goes_on(body) == continues
    assert body["messages"][0]["content"] == f"{PROMPTS['program']}\n\nBe blunt."
    assert body["messages"][-1]["content"] == (opening or SUM.question)
    assert texts(log) == [f"{PROGRAM_OPENING}print(9 * 2)\n```"]
    assert client.closed == [0], "nobody waits for the rest"
    assert Record.of(log).answer == "18"


@pytest.mark.parametrize(
    ("chunks", "nll"),
    [
        (words("a\n\n", "b"), 2.0),
        (words("a\n\n", "b", logprob=None), None),
        ([*words("a", logprob=None)[:-1], Chunk(0, tokens=1, logprob=-3.0), *words()], 3.0),  # all at last
        ([Chunk(0, thought="hm", tokens=1, logprob=-1.0), *words("a")], None),
    ],
)
def test_the_likelihood_of_a_solution_is_known_where_that_of_all_its_tokens_is(
    chunks: list[Chunk], nll: float | None
) -> None:
    log, _ = search(lambda body: chunks, SUM)
    assert [each.nll for each in Record.of(log).candidates] == [nll]


@pytest.mark.parametrize(
    ("thoughts", "finish"), [([], "length"), ([Chunk(0, thought="hm", tokens=1)] * 20, "stop")]
)
def test_a_solution_has_its_tokens_and_a_thought_before_it_has_others(
    thoughts: list[Chunk], finish: str
) -> None:
    pieces = ["so "] * (6 if thoughts else 12)
    settings = Settings(Greedy(), sampling=SamplingChange(max_tokens=8))
    log, _ = search(lambda body: [*thoughts, *words(*pieces)], SUM, settings)
    [step] = [event.step for event in log if isinstance(event, StepProposed)]
    assert step.finish == finish


def test_all_draws_of_a_question_have_one_prompt_and_seeds_of_31_bits() -> None:
    _, client = search(lambda body: words("18"), SUM, Settings(Vote(8)))
    assert len({json.dumps(each["messages"]) for each in client.asked}) == 1
    assert len({each["seed"] for each in client.asked}) == 8
    assert all(0 <= each["seed"] < 1 << 31 and each["temperature"] == 0.8 for each in client.asked)


NUMBERS = {"top_k": 7, "min_p": 0.0, "repeat_penalty": 1.2}


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("llama-server", NUMBERS),
        ("vLLM", {"top_k": 7, "min_p": 0.0, "repetition_penalty": 1.2}),
        ("Ollama", {}),
    ],
)
def test_a_server_gets_the_numbers_of_a_sampler_that_it_takes(name: str, sent: Mapping[str, float]) -> None:
    [server] = [each for each in SERVERS if each.name == name]
    change = SamplingChange(temperature=0.3, top_k=7, repeat_penalty=1.2, presence_penalty=0.5)
    _, client = search(lambda body: words("18"), SUM, Settings(Vote(1), sampling=change), server)
    [body] = client.asked
    assert (body["temperature"], body["presence_penalty"]) == (0.3, 0.5)
    names = {*NUMBERS, "repetition_penalty"}
    assert {each: value for each, value in body.items() if each in names} == sent


@pytest.mark.parametrize(
    ("seen", "likely"),
    [
        ({"Yes": -0.1, " yes": -5.0, "No": -3.0}, 0.9),
        ({"Yes": -0.1, "I": -3.0}, 0.9),  # the other one is no likelier than the last that is seen
        ({"I": -0.1, "The": -3.0}, 0.5),
        ({}, 0.5),
    ],
)
def test_options_are_read_from_the_likeliest_first_tokens(seen: Mapping[str, float], likely: float) -> None:
    def says(body: Body) -> list[Chunk]:
        if body["max_tokens"] > 1:
            return words("yes")
        return [Chunk(0, "Yes", tokens=1, alternatives=seen), *words()]

    problem = SearchRequest("The sky is blue.\n\nIs the sky blue?", kind="yes-no").problem()
    settings = SearchRequest(kind="yes-no").settings(problem)
    log, client = search(says, problem, settings, system="Be blunt.")
    assert client.asked[0]["messages"][0]["content"] == f"{PROMPTS['look-yes-no']}\n\nBe blunt."
    [read] = [event for event in log if isinstance(event, OptionsRead)]
    yes, no = read.log_probs
    assert 2.718**yes == pytest.approx(likely, abs=0.06)
    assert 2.718**yes + 2.718**no == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("continues", [True, False])
def test_a_draw_that_begins_again_takes_back_what_it_wrote(continues: bool) -> None:
    lost = words("It is\n\n", " 17.")[:-1]
    again = [*lost, Chunk(0, begins_again=True), *words("So\n\n", "it is", " 18.")]
    log, _ = search(lambda body: again, SUM, server=replace(SERVER, continues=continues))
    record = Record.of(log)
    [end] = [each.node for each in record.candidates]
    assert record.tree.text(end) == "So\n\nit is 18."
    assert {node.status for node in record.tree if node.step and "It" in node.step.text} <= {"pruned"}
    assert record.usage.generated_tokens == 6, "it was written all the same"


def test_what_begins_again_is_kept_without_what_was_lost(folders: None) -> None:
    again = [*words("It is\n\n")[:-1], Chunk(0, begins_again=True), *words("It is 18.")]
    policy, _ = policy_over(lambda body: again)
    with closing(DrawStore(state_folder() / "draws.jsonl")) as store:
        driver = Driver(
            ReplayingPolicy(policy, store, lambda branches: 0.0), SequenceLogprob(), {}, lambda: 0.0
        )
        log = [event for _, event in driver.run([SUM], Settings(Greedy()))]
    assert texts(log) == ["It is 18."]


def test_readings_of_a_text_see_their_fields_in_other_orders() -> None:
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in "abcd"}}
    problem = SearchRequest("Ann", schema=schema).problem()
    said = json.dumps(dict.fromkeys("abcd", "x"))
    _, client = search(lambda body: words(said), problem, SearchRequest().settings(problem))
    schemas = [each["response_format"]["json_schema"]["schema"] for each in client.asked]
    orders = {tuple(each["properties"]) for each in schemas}
    assert schemas[0] == schema
    assert len(orders) > 1
    assert len({json.dumps(each["messages"]) for each in client.asked}) == 1


def test_a_request_with_tools_is_refused_before_anything_is_sent() -> None:
    tool = {"type": "function", "function": {"name": "say", "parameters": {"type": "object"}}}
    messages = [{"role": "user", "content": "Say it."}]
    problem = Problem("1", "Say it.", kind="call", details={"messages": messages, "tools": [tool]})
    log, client = search(lambda body: words("18"), problem)
    assert isinstance(log[-1], SearchFailed)
    assert not client.asked


@pytest.mark.parametrize(("places", "most"), [(None, QUEUED * SERVER.places), (3, 3)])
def test_hundreds_of_questions_are_bounded_by_the_places(places: int | None, most: int) -> None:
    policy, client = policy_over(lambda body: words("It is ", str(body["seed"] % 2)), places=places)
    driver = Driver(policy, SequenceLogprob(), {}, time.monotonic)
    found = records_of(driver.run([Problem(str(at), f"{at} + 1?") for at in range(300)], Settings(Vote(3))))
    assert len(found) == 300
    assert all(record.result is not None for record in found.values())
    assert client.most == most
    assert not client._open()
    assert not policy.is_busy


def test_an_interrupt_closes_all_streams_at_once() -> None:
    stopped = threading.Event()

    def endless(body: Body) -> Iterator[Chunk]:
        for at in itertools.count():
            if at == 5:
                stopped.set()
            yield Chunk(0, "so ", tokens=1)

    client: Any = FakeClient(endless)  # type: ignore[arg-type]
    options = SessionOptions("http://127.0.0.1:1")
    by_prompt = samplers(options)
    policy = UpstreamPolicy(client, SERVER, 1e9, by_prompt, options, stopped)
    driver = Driver(policy, SequenceLogprob(), {}, time.monotonic)
    [log] = logs_of(driver.run([SUM], Settings(Vote(4)))).values()
    assert log[-1].result.stop_reason == "interrupted"  # type: ignore[union-attr]
    assert len(client.closed) == 4


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.usefixtures("folders")
def test_a_question_is_searched_over_a_server_from_python() -> None:
    with served() as server:
        answer = adascale.ask("Add 40 and 2.", server.url, seed=1)
        assert answer.answer in ("40", "41")  # as the script has it
        with adascale.open_session(SessionOptions(server.url, size=4_000_000_000)) as session:
            assert adascale.ask("Add 40 and 2.", session, seed=1).answer == answer.answer
            assert adascale.ask("hi", session).answer is None
        with pytest.raises(UsageError, match="no open session"):
            adascale.ask("Add 40 and 2.", session)
        server.wait_until_idle()


@pytest.mark.usefixtures("folders")
def test_options_for_a_model_in_this_process_are_refused() -> None:
    for options in ({"prm": "self"}, {"think": 64}, {"calibration": "mine.calibration.safetensors"}):
        with pytest.raises(UsageError, match="not for a server"):
            UpstreamSession(SessionOptions("http://127.0.0.1:1", **options))  # type: ignore[arg-type]


@pytest.mark.usefixtures("folders")
def test_one_place_is_said_with_what_gives_more_unless_the_user_says_a_width() -> None:
    with listening(writes_words("18")) as server:
        tags = {"models": [{"name": "m:4b", "details": {"parameter_size": "4B"}}]}
        server.show({"/v1/models": {"data": [{"id": "m:4b"}]}, "/api/tags": tags})
        for places, said in ((None, ["upstream-serial"]), (1, [])):
            with UpstreamSession(SessionOptions(server.url, places=places)) as session:
                warnings = session.conditions("value").warnings
            assert [notice.code for notice in warnings] == said
            assert all("OLLAMA_NUM_PARALLEL" in notice.hint for notice in warnings)


@pytest.mark.usefixtures("folders")
def test_a_cancelled_search_leaves_the_server_in_a_second_and_its_worker_loads_no_llama_cpp() -> None:
    policy = EchoPolicy(lambda prefix, rng: scripted_step("so " * 9_000, "stop"))
    with served(policy=policy) as server, Worker(SessionOptions(server.url)) as worker:
        policy.pause = 0.01
        opened, problem = worker.open_models, SearchRequest("Add 40 and 2.").problem()
        asked = SearchRequest(strategy="vote", samples=4)
        settings = asked.settings(problem, opened.conditions["value"], opened.modes)
        for _, event in worker.serve([Request(problem, settings)]):
            if isinstance(event, BranchGrew):
                assert policy.running
                worker.cancel(problem.id)
        assert isinstance(event, SearchFinished)
        assert event.result.stop_reason == "interrupted"
        end = time.monotonic() + 1
        while policy.running and time.monotonic() < end:
            time.sleep(0.01)
        assert not policy.running
        assert worker._process is not None
        maps = Path(f"/proc/{worker._process.pid}/maps")
        assert not maps.exists() or "llama" not in maps.read_text()
