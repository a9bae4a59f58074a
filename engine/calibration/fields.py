"""The number of an answer in JSON: the posterior of the votes for each field, and the least of them for all.

It is rough, as ``votes`` is. Readings of one text repeat mistakes as answers for facts do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from ..kinds.json_object import schema_of
from ..ports import AnswerEstimates, Prefix
from ..tools.fields import votes_by_field
from ..types import AnswerGroup, Estimate, FieldEstimate, FinishedSearch, NodeId
from .votes import FACT_SPREAD, SPREAD, Z90, VotePosterior, shifted

_EASIER = 1.9
"""Logits by which a field is easier than a question of mathematics: of calls of about two arguments .80 are
right (25 of BFCL, 1.5b), so .89 of their arguments, where the prior of its size is .55 (decision 0036)."""


@dataclass(frozen=True, slots=True)
class FieldPosterior(VotePosterior):
    """Implements ``engine.ports.Calibrator`` for JSON; ``prior`` is that of a field."""

    @classmethod
    def of_prior(cls, prior: float) -> Self:
        """The posterior of a model with this prior accuracy on mathematics."""
        return cls(shifted(prior, _EASIER))

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        """The posterior of each field of each answer; that of an answer is the least of its fields."""
        bounds = (-Z90 * SPREAD, 0.0, Z90 * SPREAD)
        found = [self._of_fields(prefix, finished, shifted(self.prior, logits)) for logits in bounds]
        revised: dict[NodeId, Estimate] = {}
        fields: dict[NodeId, dict[str, FieldEstimate]] = {}
        for group in finished.groups:
            node = group.nodes[0]
            least = (min(each.probability for each in bound[node].values()) for bound in found)
            lower, p, upper = least
            revised |= dict.fromkeys(group.nodes, Estimate(min(lower, p), p, max(upper, p), calibrated=True))
            fields[node] = found[1][node]
        return AnswerEstimates(revised[finished.groups[0].nodes[0]], revised, fields=fields)

    def _of_fields(
        self, prefix: Prefix, finished: FinishedSearch, prior: float
    ) -> dict[NodeId, dict[str, FieldEstimate]]:
        """The fields of each answer, by its first node; one without fields is a single one."""
        votes = votes_by_field(finished.groups, schema_of(prefix.problem))
        whole = {"": [group.nodes for group in finished.groups]}
        fields: dict[NodeId, dict[str, FieldEstimate]] = {group.nodes[0]: {} for group in finished.groups}
        for name, agreeing in (votes or whole).items():
            groups = tuple(AnswerGroup("", nodes, 0.0, 0.0) for nodes in agreeing)
            chances = VotePosterior(prior).chances(replace(finished, groups=groups), FACT_SPREAD)
            sizes = {node: len(nodes) for nodes in agreeing for node in nodes}
            for node, found in fields.items():
                found[name] = FieldEstimate(sizes[node], chances[node])
        return fields
