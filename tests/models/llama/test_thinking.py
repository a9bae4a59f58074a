"""Prompts of models that think: each template's own switch, and what takes its place where it has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import tiny

from adascale.engine.errors import UsageError
from adascale.engine.types import Turn
from adascale.models.llama.chat import ChatFormat
from adascale.models.llama.model import LlamaModel
from adascale.models.llama.thinking import plan_thinking, room_for_thoughts
from adascale.models.options import THINK_TOKENS

TEMPLATES = {path.stem: path.read_text() for path in Path(__file__).parent.glob("templates/*.jinja")}

OPEN, EMPTY = "<think>\n", "<think>\n\n</think>\n\n"

PROMPT_ENDS = {
    # switch, the prompt's end with thinking on, off, and left to the model
    "qwen3": ("enable_thinking", OPEN, EMPTY, ""),
    "qwen3.5": ("enable_thinking", OPEN, EMPTY, OPEN),
    "smollm3": ("enable_thinking", OPEN, "<think>\n\n</think>\n", ""),
    "minicpm5": ("enable_thinking", OPEN, EMPTY, ""),
    "deepseek-r1": (None, OPEN, EMPTY, OPEN),
    "lfm2.5-minimal": (None, OPEN, "", ""),
    "nemotron-minimal": ("/no_think", OPEN, "<think></think>", OPEN),
    "gemma4-minimal": (
        "enable_thinking",
        "<|channel>thought\n",
        "<|channel>thought\n<channel|>",
        "<|channel>thought\n<channel|>",
    ),
    "dead-switch-minimal": (None, OPEN, EMPTY, OPEN),
}


@pytest.fixture
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LlamaModel]:
    """A chain with the template of that name, or with another text where it is none."""
    template = TEMPLATES.get(request.param, request.param)
    with closing(LlamaModel(tiny.write_chain(tmp_path / "tiny.gguf", template=template))) as opened:
        yield opened


def spelled(model: LlamaModel, tokens: tuple[int, ...]) -> str:
    """Text of a prompt, control tokens of turns left out."""
    return b"".join(map(model.piece, tokens)).decode()


@pytest.mark.parametrize("think", [512, 0, None], ids=["on", "off", "auto"])
@pytest.mark.parametrize(("model", "name"), [(name, name) for name in PROMPT_ENDS], indirect=["model"])
def test_a_prompt_opens_a_thought_closes_it_or_leaves_it(
    model: LlamaModel, name: str, think: int | None
) -> None:
    switch, *ends = PROMPT_ENDS[name]
    expected = ends[(512, 0, None).index(think)]
    thinking = plan_thinking(model, think)
    assert thinking is not None
    assert thinking.switch == (None if think is None else switch)
    assert thinking.budget == (THINK_TOKENS if think is None else think)
    chat = ChatFormat(model, "Be brief.", thinking=thinking)
    text = spelled(model, chat.tail)
    assert text.endswith(expected)
    assert text.count(thinking.tags.opening) == (expected != "")
    assert chat.thoughts is not None
    assert chat.thoughts.is_open == (expected in (OPEN, "<|channel>thought\n"))
    # A conversation is rendered by itself, and ends in the same way.
    history = (Turn("user", "Hello."), Turn("assistant", "Hi."))
    assert spelled(model, chat.prompt("What is 9 * 2?", history)).endswith(text)
    # SmolLM3's template names the mode; elsewhere the words of a switch are for the template alone.
    assert ("/no_think" in spelled(model, chat.head)) == (name == "smollm3" and think == 0)
    assert ("<|think|>" in spelled(model, chat.head)) == (name.startswith("gemma4") and think == 512)


@pytest.mark.parametrize("model", [tiny.CHATML], indirect=True)
def test_a_model_that_knows_no_thoughts_has_the_prompt_that_it_had(model: LlamaModel) -> None:
    assert plan_thinking(model, 0) is None
    assert plan_thinking(model, None) is None
    assert ChatFormat(model, "Be brief.").thoughts is None
    with pytest.raises(UsageError, match=r"tiny\.gguf is no model that thinks") as caught:
        plan_thinking(model, 256)
    assert caught.value.hint == "`think=0`"


@pytest.mark.parametrize("think", [0, 256])
def test_a_vocabulary_knows_thoughts_where_the_template_was_stripped(tmp_path: Path, think: int) -> None:
    chain = {**tiny.THINKER, "</think>": {tiny.RIGHT: 5.0}}
    path = tiny.write_chain(tmp_path / "tiny.gguf", chain, control=["<think>", "</think>"])
    with closing(LlamaModel(path)) as model:
        thinking = plan_thinking(model, think)
        assert thinking is not None
        assert ChatFormat(model, "Be brief.", thinking=thinking).adds_thought == (think > 0)
        assert plan_thinking(model, None) is None


@pytest.mark.parametrize(
    ("model", "think", "said"),
    [
        ("deepseek-r1", 0, "the prompt ends behind an empty thought"),
        ("lfm2.5-minimal", 256, "the prompt opens a thought"),
        ("dead-switch-minimal", 0, "the prompt ends behind an empty thought"),
        ("qwen3", 256, None),
    ],
    indirect=["model"],
)
def test_a_template_without_a_switch_that_works_is_named(
    model: LlamaModel, think: int, said: str | None
) -> None:
    found = ChatFormat(model, "Be brief.", thinking=plan_thinking(model, think)).notices()
    assert [notice.code for notice in found] == ([] if said is None else ["no-think-switch"])
    assert all(said is not None and said in notice.message for notice in found)


def test_a_program_is_opened_behind_the_thought(tmp_path: Path) -> None:
    path = tiny.write_chain(tmp_path / "tiny.gguf", template=TEMPLATES["qwen3"])
    with closing(LlamaModel(path)) as model:
        off, on = (
            ChatFormat(model, "Code.", "```python\n", plan_thinking(model, think)) for think in (0, 256)
        )
        assert spelled(model, off.tail).endswith("</think>\n\n```python\n")
        assert spelled(model, on.tail).endswith("<think>\n")
        assert on.thoughts is not None
        assert spelled(model, on.thoughts.lead) == "\n\n```python\n"
        assert spelled(model, on.thoughts.cut).endswith("</think>\n\n```python\n")
        assert on.thoughts.cut_text.decode().endswith("</think>\n\n")


def test_a_window_has_room_for_what_may_be_thought() -> None:
    assert room_for_thoughts(700, tiny.CHATML) == 700
    assert room_for_thoughts(0, TEMPLATES["qwen3"]) == 0
    assert room_for_thoughts(None, TEMPLATES["qwen3"]) == THINK_TOKENS
    assert room_for_thoughts(None, tiny.CHATML) == 0
