"""The cluster without Ray: what its nodes must have in common, and what ends an engine."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from adascale.engine.errors import (
    AdascaleError,
    MemoryOverflowError,
    ModelError,
    WorkerDiedError,
)
from adascale.engine.request import Conditions, Request, Settings
from adascale.engine.search.events import (
    Event,
    GeneratorDescription,
    ModelDescription,
    SearchFailed,
    SearchFinished,
)
from adascale.engine.strategies import Vote
from adascale.engine.types import KindName, Problem
from adascale.models.options import SessionOptions
from adascale.models.worker import ray as rays
from adascale.models.worker.client import failed_log
from adascale.models.worker.ray import Cluster, Engine
from adascale.models.worker.server import ModelsOpened

SETTINGS = Settings(Vote(samples=4))


class RayError(Exception):
    """As Ray has it: an engine is lost."""


class RayTaskError(RayError):
    """As Ray has it: a call has raised ``cause``."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("call")
        self.cause = cause


Outcome = ModelsOpened | list[Event] | Exception


class Call:
    """A reference to what a call has returned or raised."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def get(call: Call) -> Outcome:
    if isinstance(call.outcome, Exception):
        raise call.outcome
    return call.outcome


@pytest.fixture(autouse=True)
def ray(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(
        exceptions=SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError),
        get=get,
        kill=lambda engine: None,
        shutdown=lambda: None,
        wait=lambda calls, timeout: (calls[:1], calls[1:]),
    )
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr(rays, "_connect", lambda address: None)


def opened(folder: str, task: str = "same") -> ModelsOpened:
    """The models of a node whose calibrations lie in a folder."""

    def of(name: str) -> Conditions:
        calibration = {"name": name, "file": f"{folder}/{name}"}
        generator = GeneratorDescription("a", "a.gguf", "00ff", 2048)
        return Conditions(ModelDescription(generator, calibration=calibration), ())

    conditions: dict[KindName, Conditions] = {"value": of("question"), "code": of(task)}
    return ModelsOpened(conditions, ("prose",), ())


def failed(request: Request, slug: str) -> list[Event]:
    return failed_log(request, SearchFailed.of(AdascaleError("no", slug=slug)))


class FakeEngine:
    """An engine whose searches fail with its name as the slug, or which is lost with each of them."""

    def __init__(self, models: ModelsOpened, name: str = "fine", lost: Exception | None = None) -> None:
        self.open_models = SimpleNamespace(remote=lambda: Call(models))
        self.search = SimpleNamespace(remote=self._search)
        self.asked: list[str] = []
        self._name, self._lost = name, lost

    def _search(self, request: Request) -> Call:
        self.asked.append(request.problem.id)
        return Call(self._lost or failed(request, self._name))


def cluster(monkeypatch: pytest.MonkeyPatch, said: list[str], *engines: FakeEngine) -> Cluster:
    members = [rays._Member(f"n{number}", engine) for number, engine in enumerate(engines)]
    monkeypatch.setattr(rays, "_start_engines", lambda options: members)
    return Cluster("auto", SessionOptions(), said.append)


def test_calibrations_of_code_tasks_are_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = FakeEngine(opened("/home/a")), FakeEngine(opened("/home/a", "another"))
    with pytest.raises(ModelError) as caught:
        cluster(monkeypatch, [], *engines).__enter__()
    assert caught.value.slug == "nodes-differ"


@pytest.mark.parametrize(
    ("raised", "kind", "told"),
    [
        (RayTaskError(MemoryOverflowError("9 GB")), MemoryOverflowError, "9 GB"),
        (RayError(), WorkerDiedError, "the engine on a was lost (RayError)"),
    ],
)
def test_an_error_of_an_engine_is_its_models_or_a_death(
    raised: Exception, kind: type[AdascaleError], told: str
) -> None:
    with pytest.raises(kind) as caught:
        rays._Member("a", None).result(Call(raised))
    assert caught.value.message == told


@pytest.mark.parametrize("retry", [True, False])
def test_questions_of_a_lost_engine_go_to_the_others_once(
    monkeypatch: pytest.MonkeyPatch, retry: bool
) -> None:
    said: list[str] = []
    lost, fine = FakeEngine(opened("/a"), "lost", RayError()), FakeEngine(opened("/a"))
    requests = [Request(Problem(str(number), "?"), SETTINGS) for number in range(6)]
    with cluster(monkeypatch, said, lost, fine) as found:
        ends = {problem.id: event for problem, event in found.serve(iter(requests), retry=retry)}
    assert ends.keys() == set("012345")
    slugs = {id_: event.notice.code for id_, event in ends.items() if isinstance(event, SearchFailed)}
    assert lost.asked
    for id_, slug in slugs.items():
        assert slug == ("worker-died" if id_ in lost.asked and not retry else "fine")
    assert said[1:] == ["the engine on n0 was lost (RayError); going on without it"]


def test_an_engine_returns_the_log_of_a_search_and_can_be_interrupted(chain_gguf: Path) -> None:
    engine = Engine(SessionOptions(str(chain_gguf), branches=2, threads=1))
    assert engine.open_models().files
    log = engine.search(Request(Problem("q", "What is twice 9?"), SETTINGS))
    assert [event.seq for event in log] == list(range(len(log)))
    assert isinstance(log[-1], SearchFinished)
    engine.interrupt()
    assert engine.search(Request(Problem("late", "What is twice 9?"), SETTINGS)) == []
    engine._worker.__exit__()
