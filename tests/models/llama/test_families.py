"""The families of the catalogue and the like, each on a tiny model of its architecture behind its template.

A family's prompt is written out whole, so that a system prompt at another place, a mark too much or a thought
that stays open is seen. What such a model says is a chain of words, through all of its architecture's layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import tiny
from machine import opened
from scripted import logs_of

from adascale.engine.request import Request, SearchRequest
from adascale.engine.search.events import OptionsRead
from adascale.engine.search.record import Record
from adascale.engine.strategies import Beam, Vote
from adascale.engine.tools.calls import Tool, ToolRequest, calls_of
from adascale.models.llama.chat import GENERIC_PROMPT, ToolFormat
from adascale.models.llama.thinking import plan_thinking
from adascale.models.options import SessionOptions
from adascale.models.worker.client import Worker

from . import architectures
from .test_calls import ASKED, TOOLS, drawn, problem, shown
from .test_thinking import EMPTY, OPEN, TEMPLATES

CHATML = (
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nTwice 9?<|im_end|>\n<|im_start|>assistant\n"
)
SMOLLM = (
    "<|im_start|>system\n## Metadata\n\nKnowledge Cutoff Date: June 2025\nReasoning Mode: {}\n\n"
    "## Custom Instructions\n\nBe brief.\n\n<|im_end|>\n"
    "<|im_start|>user\nTwice 9?<|im_end|>\n<|im_start|>assistant\n"
)
GEMMA = (
    "<bos><|turn>system\n{}Be brief.<turn|>\n<|turn>user\nTwice 9?<turn|>\n<|turn>model\n<|channel>thought\n"
)


@dataclass(frozen=True)
class Family:
    """A model as its publisher describes it.

    Attributes:
        architecture: Name of the architecture.
        template: Chat template.
        prompt: The whole prompt, with thoughts off if it thinks.
        thinking: The same with thoughts on; empty if it does not think.
        call: Text that begins a call in its own format.
        tools: Text before the record of a tool in a prompt.
        bos: Token that every sequence begins with; empty for none.
        end: Token that ends a turn.
        control: Further control tokens.
    """

    architecture: str
    template: str
    prompt: str
    thinking: str = ""
    call: str = "<tool_call>"
    tools: str = "<tools>"
    bos: str = ""
    end: str = tiny.END
    control: tuple[str, ...] = ()


GRANITE = Family(
    "granite",
    "granite4-minimal",
    "<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n"
    "<|start_of_role|>user<|end_of_role|>Twice 9?<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
    end="<|end_of_text|>",
    control=("<|end_of_role|>",),
)
GENERIC = GENERIC_PROMPT.partition("{")[0].strip()
FAMILIES = {
    "qwen2.5": Family("qwen2", tiny.CHATML, CHATML, tools=GENERIC),
    "qwen3.5": Family("qwen35", "qwen3.5", CHATML + EMPTY, CHATML + OPEN),
    "minicpm4": Family("minicpm", tiny.CHATML, CHATML, tools=GENERIC),
    "minicpm5": Family(
        "llama",
        "minicpm5",
        f"<s>{CHATML}{EMPTY}",
        f"<s>{CHATML}{OPEN}",
        call='<function name="',
        bos="<s>",
    ),
    "smollm3": Family(
        "smollm3",
        "smollm3",
        SMOLLM.format("/no_think") + EMPTY.removesuffix("\n"),
        SMOLLM.format("/think") + OPEN,
        tools=GENERIC,
    ),
    "lfm2.5": Family(
        "lfm2",
        "lfm2.5-minimal",
        f"<|startoftext|>{CHATML}",
        f"<|startoftext|>{CHATML}{OPEN}",
        call="<|tool_call_start|>",
        tools="<|tool_list_start|>",
        bos="<|startoftext|>",
    ),
    "granite4": GRANITE,
    "granite4-h": replace(GRANITE, architecture="granitehybrid"),
    "phi4-mini": Family(
        "phi3",
        "phi4-minimal",
        "<|system|>Be brief.<|end|><|user|>Twice 9?<|end|><|assistant|>",
        call="<|tool_call|>",
        tools=GENERIC,
        end="<|end|>",
        control=("<|assistant|>",),
    ),
    "gemma3": Family(
        "gemma3",
        "gemma3-minimal",
        "<bos><start_of_turn>user\nBe brief.\n\nTwice 9?<end_of_turn>\n<start_of_turn>model\n",
        call="[get_weather(",
        tools=GENERIC,
        bos="<bos>",
        end="<end_of_turn>",
    ),
    "gemma4": Family(
        "gemma4",
        "gemma4-minimal",
        GEMMA.format("") + "<channel|>",
        GEMMA.format("<|think|>\n"),
        call="<|tool_call>",
        tools="<|tool>",
        bos="<bos>",
        end="<turn|>",
        control=("<|channel>", "<channel|>"),
    ),
}
FIRST = "1. First we look.\n\n"
SOLVED = "print(9 * 2)  # \\boxed{18}\n```"
"""Right in prose, and as the rest of a program."""


def write(path: Path, family: Family) -> Path:
    """A model that solves in a step or two, or calls a tool, and says yes."""
    said = {SOLVED: 2.0, FIRST: 1.0, family.call: 1.5, "Y": -5.0, "N": -9.0}
    starts = ["\n", "\n\n", *(mark for mark in family.control if family.prompt.endswith(mark))]
    chain = {
        **dict.fromkeys(starts, said),
        FIRST: {SOLVED: 1.0},
        SOLVED: {family.end: 1.0},
        family.call: {family.end: 1.0},
    }
    marks = [family.bos, family.end, family.call if family.call.endswith(">") else "", *family.control]
    return architectures.write(
        path,
        architectures.named(family.architecture),
        chain=chain,
        template=TEMPLATES.get(family.template, family.template),
        control=[*filter(None, marks)],
        bos=family.bos,
        end=family.end,
    )


CASES = [
    (name, think) for name, family in FAMILIES.items() for think in (0, 64) if family.thinking or not think
]


@pytest.mark.parametrize(("name", "think"), CASES)
def test_a_prompt_is_the_familys(tmp_path: Path, name: str, think: int) -> None:
    family = FAMILIES[name]
    with opened(write(tmp_path / "tiny.gguf", family)) as machine:
        chat = ToolFormat(machine.model, "Be brief.", thinking=plan_thinking(machine.model, think))
        assert shown(machine, chat.prompt("Twice 9?")) == (family.thinking if think else family.prompt)
        request = ToolRequest([ASKED], {"get_weather": Tool.of(TOOLS[0])})
        above = shown(machine, chat.request_prompt(request, with_tools=True)).split(ASKED["content"])[0]
        assert above.count("Be brief.") == 1
        assert '"get_weather"' in above.partition(family.tools)[2]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_call_in_the_familys_format_is_one_of_ours(tmp_path: Path, name: str) -> None:
    with opened(write(tmp_path / "tiny.gguf", FAMILIES[name])) as machine:
        record = drawn(machine, problem(is_parallel=False), samples=16)
        assert any(calls_of(each.answer or "[]") for each in record.candidates)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "think"), CASES)
def test_a_family_is_searched_in_the_worker(tmp_path: Path, name: str, think: int) -> None:
    asked = {
        "vote": SearchRequest("What is twice 9?", strategy=Vote(8, modes=("prose", "program"))),
        "fork": SearchRequest("What is twice 9?", strategy=Beam(3, 3)),
        "look": SearchRequest("Is it blue?"),
    }
    path = write(tmp_path / "tiny.gguf", FAMILIES[name])
    options = SessionOptions(str(path), branches=4, threads=1, think=think)
    with Worker(options) as worker:
        problems = [(each.problem(id_), each) for id_, each in asked.items()]
        logs = logs_of(worker.serve([Request(each, how.settings(each)) for each, how in problems]))
    records = {id_: Record.of(log) for id_, log in logs.items()}
    assert records["vote"].answer == records["fork"].answer == "18"
    tree = records["vote"].tree
    assert {tree[node].mode for node in records["vote"].groups[0].nodes} == {"prose", "program"}
    for record in records.values():
        ends = [node.id for node in record.tree if node.status == "terminal"]
        assert {bool(record.tree.thoughts(end)) for end in ends} <= {think > 0}
    yes, no = next(event.log_probs for event in logs["look"] if isinstance(event, OptionsRead))
    assert yes > no
