"""The cluster without Ray: what its nodes must have in common, and Ctrl-C while one starts again."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adascale.engine.errors import (
    AdascaleError,
    DecodeError,
    MemoryOverflowError,
    ModelError,
    WorkerDiedError,
)
from adascale.engine.search.events import (
    GeneratorDescription,
    ModelDescription,
    SearchFailed,
    SearchFinished,
    StepProposed,
)
from adascale.engine.search.settings import Conditions, Request, Settings
from adascale.engine.strategies import Vote
from adascale.engine.types import Kind, Problem
from adascale.models.options import SessionOptions
from adascale.models.worker import ray as rays
from adascale.models.worker.messages import ModelsOpened, SearchEvent
from adascale.models.worker.ray import Cluster


def opened(folder: str, task: str = "same") -> ModelsOpened:
    """What a node tells whose calibrations lie in a folder."""

    def of(name: str) -> Conditions:
        calibration = {"name": name, "file": f"{folder}/{name}"}
        generator = GeneratorDescription("a", "a.gguf", "00ff", 2048, "cpu")
        return Conditions(ModelDescription(generator, calibration=calibration), ())

    conditions: dict[Kind, Conditions] = {"question": of("question"), "task": of(task)}
    return ModelsOpened(conditions, ("prose",), ())


@dataclass
class Place:
    """An engine on a node, which tells what it has opened and how often it was interrupted."""

    models: ModelsOpened
    interrupts: list[str] = field(default_factory=list)

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def call(self, method: str) -> str:
        return method

    def result(self, reference: str) -> ModelsOpened:
        return self.models

    def interrupt(self) -> None:
        self.interrupts.append("interrupt")


@pytest.fixture(autouse=True)
def ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(shutdown=lambda: None))
    monkeypatch.setattr(rays, "_connect", lambda address: None)


def cluster(monkeypatch: pytest.MonkeyPatch, *places: object) -> Cluster:
    monkeypatch.setattr(rays, "_engine_places", lambda options: list(places))
    return Cluster("auto", SessionOptions(), lambda text: None)


def test_the_folder_of_a_calibration_may_differ_between_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Place(opened("/home/a")), Place(opened("/srv/b"))
    with cluster(monkeypatch, here, there) as found:
        assert found.open_models == here.models


def test_calibrations_of_code_tasks_are_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    found = cluster(monkeypatch, Place(opened("/home/a")), Place(opened("/home/a", "another")))
    with pytest.raises(ModelError, match="the nodes differ in their calibration"):
        found.__enter__()


def test_an_interrupt_passes_over_an_engine_that_is_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    starting = rays._EnginePlace("node", "a", gpu=False, options=SessionOptions())
    other = Place(opened("/home/a"))
    found = cluster(monkeypatch)
    found._places = [starting, other]  # type: ignore[list-item]
    found.interrupt()
    assert found._news.get(timeout=5) is None
    assert other.interrupts == ["interrupt"]


class RayError(Exception):
    """As Ray has it."""


class RayTaskError(RayError):
    """As Ray has it: a call has raised ``cause``."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("call")
        self.cause = cause


@pytest.mark.parametrize(
    ("raised", "kind", "told"),
    [
        (RayTaskError(KeyError("x")), WorkerDiedError, "the engine on a failed"),
        (RayTaskError(DecodeError("the GPU is lost")), WorkerDiedError, "the engine on a failed"),
        (RayTaskError(ModelError("the file is torn")), ModelError, "the file is torn"),
        (RayError(), WorkerDiedError, "the engine on a was lost (RayError)"),
    ],
)
def test_whatever_ends_an_engine_but_its_models_is_a_death(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[AdascaleError], told: str
) -> None:
    def get(reference: Exception) -> None:
        raise reference

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=get, exceptions=exceptions))
    place = rays._EnginePlace("node", "a", gpu=False, options=SessionOptions())
    with pytest.raises(kind) as caught:
        place.result(raised)
    assert caught.value.message == told


def test_an_interrupt_while_an_engine_opens_its_models_ends_its_first_search(chain_gguf: Path) -> None:
    engine = rays.Engine(SessionOptions(str(chain_gguf), branches=2))
    engine.interrupt()
    with engine._opening:
        result = engine.work(Request(Problem("q", "What is 9 * 2?"), Settings(Vote(samples=4))), False, 60.0)
    *events, end = (event.event() for event in result.events)
    assert not any(isinstance(event, StepProposed) for event in events)
    assert isinstance(end, SearchFinished)
    assert end.result.stop_reason == "interrupted"


class FullPlace(Place):
    """An engine that has no memory for its models when it is started again."""

    name = "full"
    ready = True

    def call(self, method: str, *args: object) -> Any:
        """What has ended already."""
        return SimpleNamespace(future=lambda: SimpleNamespace(add_done_callback=lambda done: done(None)))

    def result(self, reference: object) -> Any:
        """Nothing."""
        raise MemoryOverflowError("the model needs 9 GB")


def test_an_engine_that_does_not_open_again_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    found = cluster(monkeypatch)
    found._status = said.append
    found._places = [FullPlace(opened("/a")), FullPlace(opened("/a"))]  # type: ignore[list-item]
    request = Request(Problem("q", "?"), Settings(Vote(samples=1)))
    with pytest.raises(WorkerDiedError, match="cannot go on") as caught:  # none is left
        list(found.serve(iter([request])))
    assert caught.value.facts == ("the model needs 9 GB",)
    assert said == ["the engine on full cannot go on; going on without it"]


class LatePlace(FullPlace):
    """An engine whose questions fail at once, and which says that it has no room although none is left."""

    name = "late"

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def call(self, method: str, *args: object) -> Any:
        """Note the question."""
        [request, *_] = args
        if isinstance(request, Request):
            self.requests.append(request)
        return FullPlace.call(self, method)

    def result(self, reference: object) -> Any:
        """The last question has failed."""
        problem = self.requests[-1].problem
        failed = SearchFailed.of(AdascaleError("too long"))
        return rays.WorkResult((SearchEvent.of(problem, replace(failed, seq=0, t=0.0)),), ready=False)


def test_an_engine_whose_only_question_has_ended_gets_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found, place = cluster(monkeypatch), LatePlace()
    found._places = [place]  # type: ignore[list-item]
    requests = [Request(Problem(name, "?"), Settings(Vote(samples=1))) for name in ("a", "b")]
    ended: list[str] = []
    worker = threading.Thread(
        target=lambda: ended.extend(problem.id for problem, _ in found.serve(iter(requests))), daemon=True
    )
    worker.start()
    worker.join(5.0)
    assert ended == ["a", "b"]
