"""The kind of a message, and the options of a choice."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adascale.engine.kinds import kind_of
from adascale.engine.kinds.options import Options, find_alternatives, find_options
from adascale.engine.kinds.recognising import problem_of, recognise_message
from adascale.engine.types import KindName, Turn
from adascale.models.calibration.artefact import built_in_questions

MESSAGES = Path(__file__).parents[1] / "data"


def guesses(name: str) -> Counter[tuple[str, str]]:
    """How often messages of a kind are taken for a kind."""
    rows = [json.loads(line) for line in (MESSAGES / name).read_text(encoding="utf-8").splitlines()]
    return Counter((row["kind"], recognise_message(row["message"]).kind) for row in rows)


def share_right(guesses_: Counter[tuple[str, str]]) -> float:
    return sum(n for (kind, guessed), n in guesses_.items() if kind == guessed) / guesses_.total()


def choice_of(message: str) -> Options:
    """What a message that is a choice gives to choose from."""
    result = recognise_message(message)
    assert result.kind == "choice"
    assert result.choice is not None
    return result.choice


def test_the_kind_of_most_messages_is_right_and_hardly_a_value_or_choice_is_a_text() -> None:
    """The one choice says "Between copper, glass and rubber, which ...", which is no form of options."""
    result = guesses("messages-dev.jsonl")
    assert share_right(result) >= 0.98
    assert not result["value", "text"]
    assert result["choice", "text"] <= 1


def test_messages_that_no_rule_was_written_for_have_the_right_kind() -> None:
    """Written by somebody who knew none of the rules; mend no rule by them."""
    assert share_right(guesses("messages-test.jsonl")) >= 0.93


def test_most_german_french_spanish_and_italian_messages_have_the_right_kind() -> None:
    result = guesses("messages-abroad-dev.jsonl")
    assert share_right(result) >= 0.93
    assert not result["value", "text"] + result["choice", "text"]
    assert share_right(guesses("messages-abroad-test.jsonl")) >= 0.85


def test_all_questions_that_calibrations_are_fitted_with_are_values() -> None:
    questions = built_in_questions()
    assert len(questions) == 300
    assert all(recognise_message(problem.question).kind == "value" for problem in questions)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("At how many degrees Celsius does water boil?", "fact"),
        ("The sum of three consecutive odd numbers is 75. Which is the smallest?", "value"),
        ("What comes next?\n\n3, 6, 9", "value"),
        ("What is the answer?\n\nA shop sells 3 pens for $2. I have $18.", "value"),
        ("Can you explain recursion?", "text"),
        ("Write a function that adds two numbers.\nassert f(1, 2) == 3", "text"),
        ("It rained.\n\nDid it rain", "yes-no"),
        ("Did it rain?\n\nAda: How was Rome?\nBob: Wet, all 3 days.", "yes-no"),
        ("Give me the key points.\n\nIt rained for 3 days. Was it cold? It was.", "text"),
        ("wich bird lays the largest egg", "fact"),
        ("What island was Napoleon exiled to?", "fact"),
        ("when does season 6 of the crown start", "fact"),
        ("Point A is left of point B. Is B right of A?", "yes-no"),
        ("How much does part 4 cost?", "value"),
        ("Who wrote your code?", "text"),
        ("What does this print?\n\nx = 2\nprint(x * x)", "value"),
        ("What does this code do?\n\nx = 2\nprint(x * x)", "text"),
        ("What is the difference between 15 and 8?", "value"),
        ("What is the point of intersection of y = 2x and y = x + 1?", "value"),
        ("What is the difference between Python 2 and Python 3?", "text"),
        ("Find x or y if x + y = 3 and x - y = 1", "value"),
        ("Of all integers between 10 and 100, what is the sum of the even ones?", "value"),
        ("It is 9:15 now. At what time will it be 40 minutes later?", "date"),
        ("which weekday was 14 march 2024", "date"),
        ("How many days does February 2028 have?", "date"),
        ("If today is Wednesday, which weekday is it in 100 days?", "date"),
        ("My aunt was born on 5 May 1961. How old was she on 1 March 2000?", "date"),
        ("When should I leave to arrive at 18:00 if the drive takes 95 minutes?", "date"),
        ("Welcher Wochentag war der 14. März 2024?", "date"),
        ("Le train part à 9h45 et le trajet dure 3 h 20. À quelle heure arrive-t-il ?", "date"),
        ("¿Cuántos días hay entre el 3 de marzo y el 10 de mayo?", "date"),
        ("Oggi è mercoledì. Che giorno sarà tra 100 giorni?", "date"),
        ("What day is Bastille Day?", "fact"),
        ("What day did the Titanic sink in April 1912?", "fact"),
        ("Which weekday did 4 July 1990 fall on?", "date"),
        ("How many pages does Tom read from Monday to Friday at 12 pages a day?", "value"),
        ("太阳是恒星吗?", "yes-no"),
        ("Ein Kilo Äpfel kostet 2,80 Euro. Was kosten 750 Gramm?", "value"),
        ("A quelle heure arrive le train ?", "fact"),
        ("Wann endete der 2. Weltkrieg?", "fact"),
        (
            '<source id="1" resource-id="84ee-4f5c-868d">Our word is Heron.</source>\nTell me the word.',
            "text",
        ),
        ("Capitale de la France ?", "fact"),
        ("les chats peuvent-ils nager", "yes-no"),
        ("Welche Zahl kommt als nächstes: 2, 4, 8, 16?", "value"),
        ("¿Qué pesa más, un kilo de plomo o un kilo de plumas?", "choice"),
        ("Will has 5 apples and eats 2, how many are left?", "value"),
        ("spell strawberry backwards", "value"),
        ("what is height of mount everest", "fact"),
        ("La Tierra gira alrededor del Sol?", "yes-no"),
        ("Mi puoi aiutare?", "text"),
        ("谁写了《红楼梦》?", "fact"),
        ("Do these mean the same?\n1. He left.\n2. He went.", "yes-no"),
        ("", "text"),
    ],
)
def test_a_form_that_is_rare_among_the_messages_has_its_kind(message: str, kind: KindName) -> None:
    assert recognise_message(message).kind == kind


@pytest.mark.parametrize("form", ["({})", "{})", "{}.", "{}:", "{}>", "[{}]", "**{}.**", "Option {}:"])
@pytest.mark.parametrize("between", ["\n", "\n\n", "  ", " "])
def test_options_are_read_in_any_notation(form: str, between: str) -> None:
    texts = ("river bank", "a", "bank of 3 %")
    options = between.join(f"{form.format(letter)} {text}" for letter, text in zip("ABC", texts, strict=True))
    result = recognise_message(f"Where does one keep money?\n{options}\nAnswer:")
    assert result.choice == Options("Where does one keep money?", texts, ("A", "B", "C"))


@pytest.mark.parametrize(
    "message",
    [
        r"How many? $\textbf{(A) } 477 \qquad \textbf{(B) } 482$",
        r"How many? $\mathrm{(A) \ 477 } \qquad \mathrm{(B) \ 482 }$",
    ],
)
def test_the_latex_between_options_is_left_out(message: str) -> None:
    assert choice_of(message).texts == ("477", "482")


@pytest.mark.parametrize("marks", ["a b c", "1 2 3"])
def test_small_letters_and_numbers_mark_options_below_a_question(marks: str) -> None:
    lines = "\n".join(
        f"{mark}) {text}" for mark, text in zip(marks.split(), ("Mars", "Venus", "Earth"), strict=True)
    )
    assert choice_of(f"Which planet do people live on?\n{lines}").letters == tuple(marks.split())
    assert recognise_message(f"My notes of today.\n{lines}").kind == "text"


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("Is a tomato a fruit or a vegetable?", ("a fruit", "a vegetable")),
        ("tea or coffee?", ("tea", "coffee")),
        ("Which is heavier, a ton of lead or a ton of wool?", ("a ton of lead", "a ton of wool")),
        ("Is the Amazon or the Nile longer?", ("the Amazon", "the Nile")),
        ("Did Mozart or Beethoven live longer?", ("Mozart", "Beethoven")),
        ("Choose one: red, green, blue", ("red", "green", "blue")),
        ("Is Pluto a planet, a dwarf planet or a moon?", ("a planet", "a dwarf planet", "a moon")),
        ("Is this mail spam or not spam?\n\nYou have won!", ("spam", "not spam")),
        ("Which of these is a metal?\n- iron\n- wood", ("iron", "wood")),
        ("Which is a metal? iron | wood | glass", ("iron", "wood", "glass")),
        ("He is married ___ a doctor. (to / with / by)", ("to", "with", "by")),
        ('{"question": "a metal", "choices": ["iron", "wood"]}', ("iron", "wood")),
        ("La tomate est-elle un fruit ou un légume ?", ("un fruit", "un légume")),
        ("coffee or tea, one word answer", ("coffee", "tea")),
        ("Is 3/4 greater than or less than 5/7?", ("greater", "less")),
        ("早上应该先刷牙还是先吃早饭?", ("早上应该先刷牙", "先吃早饭")),
    ],
)
def test_options_without_letters_are_read(message: str, options: tuple[str, ...]) -> None:
    result = choice_of(message)
    assert (result.texts, result.letters) == (options, ())


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who brings the grill?", "fact"),
        ("When and where is the next meeting?", "fact"),
        ("When is the next meeting?", "fact"),
        ("Which colours may it have?", "fact"),
        ("How much did both cost?", "value"),
        ("Was Hana there?", "yes-no"),
    ],
)
def test_a_text_below_a_question_makes_it_no_choice_and_no_sum(question: str, kind: str) -> None:
    minutes = (
        "Minutes of 12 March.\n1. The pump cost 184 euros. Tom paid.\n2. Rosa brings salad, Wim the grill."
    )
    assert recognise_message(f"{question}\n\nnotes.txt:\n{minutes}\nNext: 9 April.").kind == kind


@pytest.mark.parametrize(
    "message",
    [
        "A: hi, how are you?\nB: fine, and you?\nA: fine\nB: good",
        "Answer these questions.\na) What is an atom?\nb) How big is it?",
        "The form $(x-a)(x-b)$, where $a$ and $b$ are integers. What is $a$?",
        "1. Buy milk.\n2. Call mum.\nThat is my list.",
        "Is it safe to eat raw eggs or not?",
        "",
    ],
)
def test_a_text_without_options_has_none(message: str) -> None:
    assert find_options(message) is None
    assert find_alternatives(message) == ()


FACT, VALUE, YES_NO = "What is the capital of Australia?", "What is 17 * 23?", "Is 91 prime?"
FRUIT, METAL = "Is a tomato a fruit or a vegetable?", "Which is a metal?\nA. iron\nB. wood"


@pytest.mark.parametrize(
    ("earlier", "message", "kind"),
    [
        (FACT, "and of Brazil?", "fact"),
        (FACT, "What about in 1950", "fact"),
        (FACT, "und von Brasilien?", "fact"),
        (FACT, "¿y de Brasil?", "fact"),
        (FACT, "and why?", "text"),
        (FACT, "and then explain it", "text"),
        (FACT, "and you?", "text"),
        (FACT, "and is it large?", "yes-no"),
        (FACT, "and 3 * 4?", "value"),
        (VALUE, "and times two?", "value"),
        (VALUE, "And how many of them are left?", "value"),
        (VALUE, "How many people live in Paris?", "fact"),
        (FACT, "How old is it?", "fact"),
        (VALUE, "Brazil?", "text"),
        (YES_NO, "and 93?", "yes-no"),
        (METAL, "and the second one?", "text"),
        ("Tell me about Rome.", "and of Brazil?", "text"),
    ],
)
def test_a_fragment_has_the_kind_of_the_last_whole_question(
    earlier: str, message: str, kind: KindName
) -> None:
    history = (Turn("user", earlier), Turn("assistant", "So."), Turn("user", "and of Chile?"))
    assert problem_of("1", message, history=history).kind == kind


def test_a_fragment_behind_a_choice_has_its_options() -> None:
    problem = problem_of("1", "and a cucumber?", history=(Turn("user", FRUIT), Turn("assistant", "A fruit.")))
    assert kind_of(problem).options(problem) == ("a fruit", "a vegetable")


PIECES = st.sampled_from(
    [
        "A. ", "(B) ", "b) ", "1. ", "- ", "or ", "which ", "is ", "? ", "\n", "\n\n", "choose: ",
        ", ", " / ", "还是", "$", "*", "\\qquad ", "x", "one of ", "options: ",
        "classify it as ",
    ]
)  # fmt: skip


@settings(deadline=None)  # patterns are compiled at their first use
@given(st.text() | st.lists(PIECES | st.text(max_size=5), max_size=30).map("".join))
def test_options_are_pieces_of_any_message(message: str) -> None:
    result = recognise_message(message)
    assert (result.choice is not None) == (result.kind == "choice")
    if result.choice is not None:
        assert len(result.choice.letters) in (0, len(result.choice.texts))
        assert all(option and option in message for option in result.choice.texts)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "part",
    [
        "write a ", "hi, ", "can you ", "please ", "# ", "\\", "a", "A) ", "A. x B. ", "1. x\n2. y\n",
        "- a\n", "a or ", "a, b or c, ", "$", "$a ", " ", "\n", "which ", "is it ", "you are a ",
        "a b c d ", "a / b ", "tell if x is ", "i. ii. ", "from [a, ", "who ",
        "options: ", "1 ", "1, ", "\\qquad ", "what is the ", "Mr. ", "(",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "\nWhich one is it?\nA. a\nB. b"])
def test_a_megabyte_is_read_in_a_second(part: str, end: str) -> None:
    start = time.process_time()
    recognise_message("A. " + part * (1_000_000 // len(part)) + end)
    assert time.process_time() - start < 1
