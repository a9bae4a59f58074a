"""The log of a question that is answered without a model: an expression, whose value is computed."""

from __future__ import annotations

from dataclasses import replace

from ..answers.choosing import NOTHING_YET
from ..kinds import kind_of
from ..request import Request
from ..strategies import Adaptive
from ..types import Usage
from .events import Event, SearchFinished


def computed_log(request: Request) -> tuple[Event, ...]:
    """The whole log of a question whose answer can be computed; empty for one that has to be searched.

    Only ``adaptive`` leaves the search out: other strategies are there to be compared.
    """
    answer = kind_of(request.problem).computed(request.problem)
    if answer is None or not isinstance(request.settings.strategy, Adaptive):
        return ()
    result = replace(NOTHING_YET, answer=answer, stop_reason="computed")
    started = request.settings.first_event(request.problem)
    return started, SearchFinished(seq=1, result=result, usage=Usage())
