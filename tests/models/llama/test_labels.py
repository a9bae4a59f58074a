"""Labels behind many texts have the log-probabilities of each text by itself, spelt token by token."""

from __future__ import annotations

import numpy as np
import pytest
from machine import SYSTEM, Machine

from adascale.models.llama import labels as module
from adascale.models.llama.chat import ChatFormat
from adascale.models.llama.context import LlamaContext
from adascale.models.llama.labels import SEQUENCES, FloatArray, LabelReader, each_of, one_of
from adascale.models.llama.model import AbortFlag
from adascale.models.llama.policy import first_tokens

TEXTS = ["Hm?", "word " * 80, "Where is my card?", "x" * 700, *(f"Message {n}." for n in range(70)), "é" * 40]
ALIKE = ["card lost", "card late", "card", "top up", "top", "other"]


@pytest.fixture
def shared(machine: Machine) -> LlamaContext:
    context = LlamaContext(machine.model, 2048, SEQUENCES, 1, AbortFlag(), shared=True)
    machine.stack.callback(context.close)
    return context


def read(reader: LabelReader, texts: list[str]) -> list[list[FloatArray]]:
    return [*reader.read([reader.tokens(text) or () for text in texts])]


def log_softmax(logits: FloatArray) -> FloatArray:
    return np.asarray(logits - np.logaddexp.reduce(logits))


def alone(machine: Machine, tokens: tuple[int, ...]) -> FloatArray:
    """Logits behind tokens that nothing is evaluated beside."""
    context = machine.context(states=False, window=1024)
    logits = context.logits(context.evaluate(0, 0, tokens)).astype(float)
    context.close()
    return logits


def test_label_probabilities_equal_those_of_constrained_decoding(
    machine: Machine, shared: LlamaContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAST_LOG_PROB", -np.inf)
    model, chat = machine.model, ChatFormat(machine.model, SYSTEM)
    labels = one_of(model, chat, ALIKE)
    reader = LabelReader(shared, chat.head, labels.looks)
    looks = read(reader, TEXTS)
    spelt = [(*model.tokenize(label, special=False), model.end_of_turn) for label in ALIKE]
    for n in (0, 1, 2, 3, 73, 74):
        expected = np.zeros(len(ALIKE))
        for path in {label[:at] for label in spelt for at in range(len(label))}:
            here = [label for label in spelt if label[: len(path)] == path]
            tokens = sorted({label[len(path)] for label in here})
            if len(tokens) > 1:
                log_p = log_softmax(alone(machine, (*chat.prompt(TEXTS[n]), *path))[tokens])
                for label in here:
                    expected[spelt.index(label)] += log_p[tokens.index(label[len(path)])]
        assert labels.log_probs(looks[n]) == pytest.approx(expected, abs=2e-2), TEXTS[n][:20]


def test_probabilities_of_a_hundred_labels_sum_to_one(machine: Machine, shared: LlamaContext) -> None:
    chat = ChatFormat(machine.model, SYSTEM)
    labels = one_of(
        machine.model, chat, [f"{word} {n}" for n in range(25) for word in ("a", "ab", "b", "cd")]
    )
    reader = LabelReader(shared, chat.head, labels.looks)
    for looks in read(reader, TEXTS):
        assert np.exp(labels.log_probs(looks)).sum() == pytest.approx(1)


def test_a_yes_no_question_per_label_has_the_logits_of_its_own_prompt(
    machine: Machine, shared: LlamaContext
) -> None:
    model, chat = machine.model, ChatFormat(machine.model, SYSTEM)
    questions = ["Is it red?", "Is it blue and very, very large?"]
    reader = LabelReader(shared, chat.head, each_of(model, chat, questions).looks)
    words = [[*first_tokens(model, word)] for word in ("Yes", "No")]
    for text, looks in zip(TEXTS[:4], read(reader, TEXTS[:4]), strict=True):
        for question, look in zip(questions, looks, strict=True):
            logits = alone(machine, tuple(chat.prompt(f"{text.strip()}\n\n{question}")))
            expected = log_softmax(np.array([np.logaddexp.reduce(logits[each]) for each in words]))
            assert look == pytest.approx(expected, abs=2e-2)


def test_a_text_longer_than_the_room_is_not_tokenized(machine: Machine, shared: LlamaContext) -> None:
    chat = ChatFormat(machine.model, SYSTEM)
    reader = LabelReader(shared, chat.head, one_of(machine.model, chat, ALIKE).looks)
    assert reader.tokens("x" * reader.room) is not None
    assert len(read(reader, ["x" * reader.room])) == 1
    assert reader.tokens("x" * (reader.room + 1)) is None
