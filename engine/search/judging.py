"""The answer of a search: computed, or chosen by the strategy and judged by the calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..answers.choosing import NOTHING_YET, Candidate, FinishedSearch, SearchResult, choose, likeliest
from ..kind_table import entry_of
from ..kinds import kind_of
from ..ports import AnswerEstimates
from ..request import Request, Settings
from ..strategies import Adaptive
from ..types import ROOT, Estimate, NodeId, Usage
from .events import Event, SearchFinished
from .record import Record
from .tree import Tree

if TYPE_CHECKING:
    from ..calibration.posterior import Posterior


def computed_log(request: Request) -> tuple[Event, ...]:
    """The whole log of a question whose answer can be computed; empty if it has to be searched.

    Only ``adaptive`` skips the search: other strategies are there to be compared.
    """
    answer = kind_of(request.problem).computed(request.problem)
    if answer is None or not isinstance(request.settings.strategy, Adaptive):
        return ()
    result = replace(NOTHING_YET, answer=answer, stop_reason="computed")
    started = request.settings.first_event(request.problem)
    return started, SearchFinished(seq=1, result=result, usage=Usage())


def judge_answers(
    record: Record, settings: Settings, calibrator: Posterior
) -> tuple[SearchResult, Mapping[NodeId, Estimate]]:
    """The standing of a search, and the solutions' estimates that have changed.

    Args:
        record: The search so far; its ``finished`` is left to the caller.
        settings: Its settings, whose strategy has the rule that chooses.
        calibrator: Estimates the answers.
    """
    tree, strategy = record.tree, settings.strategy
    # Ties go to the trajectory that was drawn first.
    ended = sorted(record.candidates, key=lambda candidate: tree.draw_order(candidate.node))
    presentable = [candidate for candidate in ended if _can_be_shown(tree, candidate)]
    if strategy.rule == "first" and (settings.models.sampling or {}).get("greedy"):
        # The model cannot decode greedily: of the first two readings the likelier one is the answer.
        presentable[:2] = sorted(presentable[:2], key=lambda candidate: candidate.nll or 0.0)
    same = kind_of(tree.problem).equality(tree.problem)
    result = choose(presentable, strategy.rule, same, lambda node: tree[node].mode)
    logits, estimates = tree.mean_option_logits, AnswerEstimates(None)
    if result.groups or logits:
        # A failed program cannot be shown, and speaks against the answer all the same.
        voters = tuple(
            candidate for candidate in ended if candidate.mode != "prose" or candidate in presentable
        )
        modes = {candidate.mode for candidate in voters}
        questions = {mode: estimate for mode, estimate in tree.questions.items() if mode in modes}
        mode = next((mode for mode in strategy.modes if mode in tree.readings), strategy.modes[0])
        finished = FinishedSearch(questions, voters, result.groups, logits)
        estimates = calibrator.judge(tree.prefix(ROOT, mode), finished)
    result = replace(result, confidence=estimates.confidence or result.confidence)
    if strategy.rule == "likeliest" or estimates.options:
        result = likeliest(result, estimates.revised, estimates.options)
    fields = estimates.fields[result.groups[0].nodes[0]] if estimates.fields else {}
    result = replace(
        result, options=estimates.options, fields=fields, replies=len(presentable), called=estimates.called
    )
    revised = estimates.revised.items()
    return result, {node: estimate for node, estimate in revised if estimate != tree[node].estimate}


def _can_be_shown(tree: Tree, candidate: Candidate) -> bool:
    """True for an answer, a text that ended by itself without one, and a reply that stays alone."""
    end, problem = tree[candidate.node], tree.problem
    ended_by_itself = end.step is not None and end.step.finish == "stop"
    is_prose = end.mode == "prose" and not entry_of(problem).has_fields
    is_alone = entry_of(problem).is_reply or entry_of(problem).is_short
    has_text = is_prose and bool(tree.text(end.id).strip())
    return candidate.answer is not None or (has_text and (ended_by_itself or is_alone))
