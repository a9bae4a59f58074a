"""The inverse of a search: the tree that an event log describes."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import TraceError
from ..types import ROOT
from .events import AnswersJudged, Event, NodesPruned, PromptRead, SearchStarted, StepProposed, StepScored
from .tree import Tree


def replay(events: Iterable[Event]) -> Tree:
    """Rebuild the tree; ``replay(events of a search) == its tree``.

    Raises:
        TraceError: the log does not begin with SearchStarted or its node ids do not fit.
    """
    log = iter(events)
    first = next(log, None)
    if not isinstance(first, SearchStarted):
        raise TraceError("the trace does not begin with a started search")
    tree = Tree(first.problem)
    for event in log:
        apply(tree, event)
    return tree


def apply(tree: Tree, event: Event) -> None:
    """Change the tree as one event says; events that touch no node do nothing."""
    try:
        match event:
            case PromptRead():
                root = tree[ROOT]
                root.usage = root.usage + event.usage
                root.estimate = event.estimate or root.estimate
                tree.reading = event.reading or tree.reading
            case StepProposed():
                node = tree.add(event.parent, event.step, event.branch)
                if node.id != event.node:
                    raise TraceError(f"node {event.node} is out of order in the trace")
                node.usage = event.usage
            case StepScored():
                node = tree[event.node]
                node.reward, node.estimate = event.reward, event.estimate
                node.usage = node.usage + event.usage
            case NodesPruned():
                for id_ in event.nodes:
                    tree[id_].status = "pruned"
            case AnswersJudged():
                tree.standing = event.standing
            case _:
                pass
    except IndexError as exc:
        raise TraceError(f"event {event.seq} names a node that the trace has not made") from exc
