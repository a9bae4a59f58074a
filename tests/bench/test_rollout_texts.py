"""Rollouts as lines, and what is read of them."""

from __future__ import annotations

from worlds import drawn, problems

from bench.evidence.rollout_texts import line
from bench.evidence.surprise import Solution, solutions_of


def test_solutions_are_read_from_lines_without_what_shares_a_prefix_with_them() -> None:
    for rollouts in drawn(problems(6)):
        ends = rollouts.samples()
        assert 0 < len(ends) < len(rollouts.ends())

        found = [*solutions_of(line(rollouts))]

        for end, solution in zip(ends, found, strict=True):
            nodes = [rollouts.nodes[row] for row in rollouts.path(end)]
            tokens = sum(len(node.token_ids) for node in nodes)
            logprob = sum(round(node.logprob, 3) for node in nodes)
            right = bool(nodes[-1].right)
            assert solution == Solution(rollouts.mode, nodes[-1].answer, right, tokens, logprob)
