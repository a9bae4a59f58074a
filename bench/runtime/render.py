"""The cost of the live view: CPU time of drawing a search of many nodes four times a second.

Usage: ``python -m bench.runtime.render [--nodes 1000] [--trace TRACE.jsonl] [--size 120x40]``

Without a trace the search is invented: solutions of eight steps, a few of them being written. Each frame
folds some new events and is drawn by Rich as on a terminal.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from adascale.cli.disk.trace import read_trace
from adascale.cli.render.display import FRAMES_PER_SECOND
from adascale.cli.render.frame import live_frame
from adascale.cli.render.state import ViewState
from adascale.cli.terminal.theme import UNICODE
from adascale.engine.ports import Prefix
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Vote
from adascale.engine.types import Problem, Step
from bench.scripted import ScriptedPolicy, ScriptedPRM, scripted_step

from ..common import close

STEPS = 8
FRAMES = 40


def invented(nodes: int) -> Iterator[Event]:
    """A search of about so many nodes."""

    def script(prefix: Prefix, rng: object) -> Step:
        at = len(prefix.steps) + 1
        if at == STEPS:
            return scripted_step(f"so \\boxed{{{at}}}", "stop")
        return scripted_step(f"Step {at}: \\( \\frac{{{at}}}{{7}} \\) and some words of a step\n")

    policy = ScriptedPolicy(script, slots=8)
    driver = Driver(policy, ScriptedPRM(lambda prefix: 0.5), {}, time.monotonic)
    settings = Settings(Vote(samples=nodes // STEPS))
    return (event for _, event in driver.run([Problem("1", "What is it?")], settings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--size", default="120x40")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    events = list(read_trace(args.trace)) if args.trace else list(invented(args.nodes))
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    held, last = events[: -len(events) // 10], events[-len(events) // 10 :]
    state = ViewState.of(held)
    share = max(1, len(last) // FRAMES)
    seconds, frames = 0.0, 0
    for at in range(0, len(last) - 1, share):
        started = time.process_time()
        for event in last[at : at + share]:
            state.add(event)
        console.print(Text("\n", no_wrap=True).join(live_frame(state, width, height, UNICODE, at)))
        seconds += time.process_time() - started
        frames += 1
    close(
        {
            "cpu_share": round(FRAMES_PER_SECOND * seconds / frames, 4),
            "ms_per_frame": round(1000 * seconds / frames, 1),
            "nodes": len(state.tree),
            "frames": frames,
        }
    )


if __name__ == "__main__":
    main()
