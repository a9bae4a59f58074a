"""The table of kinds, and what a kind decides."""

from __future__ import annotations

import time
from typing import Any

import pytest

from adascale.engine.errors import UsageError
from adascale.engine.kind_table import KINDS, Entry
from adascale.engine.kinds import kind_named, kind_of, prompt_of, recognise
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.request import SearchRequest
from adascale.engine.strategies.presets import preset
from adascale.engine.types import Execution, KindName, Problem, Turn, Verdict

RAN = Execution("391\n", "", 0.1)
TESTED = Execution("", "", 0.1, "def f(n): ...", verdicts=(Verdict("passed"), Verdict("failed", "3")))


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"answer": "4"}, "value"),
        ({"tests": "assert f(2) == 4"}, "code"),
        ({"options": ["4", "9"]}, "choice"),
        ({"kind": "fact"}, "fact"),
        ({"messages": [{"role": "user", "content": "Hi"}], "tools": [], "accepted": []}, "call"),
        ({"kind": "of my own"}, "value"),
    ],
)
def test_fields_of_a_record_say_its_kind(record: dict[str, object], kind: KindName) -> None:
    name, details = recognise("Square n.", record)
    assert name == kind
    assert bool(details) == (kind in ("code", "choice", "call"))


PLANETS = problem_of("1", "Which planet is the largest?\n(A) Mars\n(B) Jupiter\n(C) Venus")
DRINKS = problem_of("1", "Which drink?", choices=["tea", "green tea", "coffee"])


def problem_of_kind(kind: KindName) -> Problem:
    return {"choice": PLANETS}.get(kind) or Problem("1", "What is 17 * 23?", kind=kind)


@pytest.mark.parametrize(
    ("kind", "text", "execution", "answer", "shown"),
    [
        ("value", "It is \\boxed{391}.", None, "391", "391"),
        ("value", "print(17 * 23)", RAN, "391", "391"),
        ("choice", "It has the most mass.\nAnswer: B", None, "B", "B. Jupiter"),
        ("choice", "So the correct option is C because it is.", None, "C", "C. Venus"),
        ("choice", "Answer: jupiter", None, "B", "B. Jupiter"),
        ("choice", r"\boxed{\text{(B)}}", None, "B", "B. Jupiter"),
        ("choice", "B. Jupiter", None, "B", "B. Jupiter"),
        ("choice", "Which planet is the largest?\nA. Mars\nB. Jupiter\nC. Venus", None, None, None),
        ("choice", "The answer is A planet called Venus.", None, "C", "C. Venus"),
        ("yes-no", "91 = 7 * 13.\nAnswer: no", None, "no", "No"),
        ("yes-no", "So the statement is not true.", None, "no", "No"),
        ("yes-no", "Answer: It isn't always correct.", None, "no", "No"),
        ("yes-no", "No, it is not a right triangle.", None, "no", "No"),
        ("yes-no", "91 = 7 * 13, also nein.", None, "no", "No"),
        ("yes-no", "Yes, 97 has no divisors but 1 and itself.", None, "yes", "Yes"),
        ("yes-no", "There is no largest prime.", None, "no", "No"),
        ("yes-no", "print(n == 91)", Execution("True\n", "", 0.1), "yes", "Yes"),
        ("yes-no", "No idea.", None, None, None),
        ("yes-no", "Answer: there is no right answer", None, None, None),
        ("yes-no", "Yes\nAnswer: as shown above.", None, "yes", "Yes"),
        ("yes-no", "I have no idea why, but the correct answer is no.", None, "no", "No"),
        ("yes-no", "FAL\u017fE, \u0130ncorrect, so no", None, "no", "No"),
        ("fact", "Canberra.\nIt is in the south.", None, "Canberra", "Canberra"),
        ("fact", "The answer is: **Canberra**.", None, "Canberra", "Canberra"),
        ("fact", "The capital of Australia is Canberra.", None, "Canberra", "Canberra"),
        ("fact", "Moby-Dick was written by Herman Melville.", None, "Herman Melville", "Herman Melville"),
        ("fact", r"\boxed{\text{Canberra}}", None, "Canberra", "Canberra"),
        ("fact", "Sure!\nThe capital is Canberra.", None, "Canberra", "Canberra"),
        ("text", "It is \\boxed{391}.", None, None, None),
        ("code", "def f(n): ...", TESTED, "1/2", "def f(n): ..."),
        ("code", "I cannot.", Execution("", "none", 0.0), None, None),
    ],
)
def test_a_kind_reads_and_shows_an_answer(
    kind: KindName, text: str, execution: Execution | None, answer: str | None, shown: str | None
) -> None:
    mode = "prose" if execution is None else "program"
    result = kind_named(kind).answer(problem_of_kind(kind), mode, text, "stop", execution)
    assert result == answer
    assert kind_named(kind).shown(problem_of_kind(kind), result, execution) == shown


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        ("What is the capital of Australia?", "Canberra is the capital of Australia.", "Canberra"),
        ("Who wrote Emma?", "The author is Jane Austen.", "Jane Austen"),
    ],
)
def test_a_fact_is_what_the_question_does_not_say(question: str, text: str, answer: str) -> None:
    problem = Problem("1", question, kind="fact")
    assert kind_named("fact").answer(problem, "prose", text, "stop", None) == answer


@pytest.mark.parametrize(
    ("question", "printed", "answer"),
    [
        ("Which weekday was 14 March 2024?", "3", None),
        ("What day of the week was 14 March 2024?", "2024-03-14", None),
        ("Welcher Wochentag war der 14. März 2024?", "Thursday, 14 March 2024", "Thursday, 14 March 2024"),
        ("I sleep from 23:40 on Monday to 6:55. How many hours is it?", "Tuesday", None),
        ("What date is 30 days after 5 May 2024?", "Tuesday", None),
        ("Today is Monday. What day is it in 3 days?", "Thursday", "Thursday"),
        ("and 15 March?", "Friday", "Friday"),
    ],
)
def test_a_number_is_no_weekday_and_a_weekday_no_number(
    question: str, printed: str, answer: str | None
) -> None:
    ran = Execution(printed, "", 0.1)
    problem = Problem("1", question, kind="date")
    assert kind_of(problem).answer(problem, "program", "", "stop", ran) == answer


@pytest.mark.parametrize(
    ("question", "answer", "shown"),
    [
        ("I slept from 23:40 to 6:55. How many minutes did I sleep?", "435", "435 minutes"),
        ("A train leaves at 10:52 and arrives at 14:17. How long is the ride?", "205", "3 h 25 min"),
        ("A film begins at 22:30 and ends at 0:15. How long is it?", "1.75", "1.75"),
        ("How many square meters of carpet do I need?", "14.7", "14.7 square meters"),
        ("How many sports cars are there?", "8", "8 sports cars"),
        ("How many jars of plums are there?", "1", "1"),
        ("How many apples and pears are there?", "5", "5"),
        ("How many are left of 5 apples?", "3", "3"),
        ("How many minutes is it? Answer in hours.", "3", "3"),
        ("Wie viele Minuten dauert es?", "205", "205 Minuten"),
        ("¿Cuál es su velocidad media en km/h?", "80", "80 km/h"),
        ("350 F in Celsius, rounded to a whole number?", "177", "177 °C"),
        ("By how many percent did it rise?", "25", "25 %"),
        ("What percentage is it?", "0.25", "0.25"),
        ("A book is $7.70. How much do 3 books cost?", "23.1", "$23.10"),
        ("A kettle is 34 euros, less 15 %. What do two of them cost?", "57.8", "57.80 euros"),
        ("Four share 80 euros. How much does each pay?", "20", "20 euros"),
        ("A book is $7 or 6 euros. How much do 3 books cost?", "21", "21"),
        ("A pen is 50 cents. How much do 3 pens cost?", "1.5", "1.5"),
        ("A 5 kg bag of flour is $7. How much is left?", "4", "4"),
        ("A book is $7. How much do 3 books cost?", "21 dollars", "21 dollars"),
    ],
)
def test_a_bare_number_is_shown_with_the_unit_that_is_asked_for(
    question: str, answer: str, shown: str
) -> None:
    assert kind_named("value").shown(Problem("1", question), answer, None) == shown


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Ann has 5 apples and eats 8. How many apples are left?", None),
        ("It was 5 degrees and fell by 8. How many degrees is it?", "-3"),
        ("What is 5 less 8?", "-3"),
    ],
)
def test_a_number_of_things_is_not_below_zero(question: str, answer: str | None) -> None:
    result = kind_named("value").answer(Problem("1", question), "prose", r"\boxed{-3}", "stop", None)
    assert result == answer


@pytest.mark.parametrize(
    ("kind", "a", "b", "is_same"),
    [
        ("fact", "the Eiffel Tower", "Eiffel tower", True),
        ("fact", "São Paulo", "sao paulo.", True),
        ("fact", "20 July 1969", "July 20th, 1969", True),
        ("fact", "3 to 2", "2 to 3", False),
        ("fact", "-40", "40", False),
        ("fact", "8848 m", "8,848 meters", True),
        ("fact", "Washington, D.C.", "Washington DC", True),
        ("fact", "Watson and Crick", "Crick and Watson", True),
        ("fact", "Watson and Crick", "Watson", False),
        ("fact", "Paris, France", "Paris", True),
        ("fact", "the city of Sydney in Australia", "Sydney", True),
        ("fact", "New Mexico", "Mexico", False),
        ("fact", "Not Paris", "Paris", False),
        ("value", "1/2", "0.5", True),
        ("yes-no", "yes", "no", False),
    ],
)
def test_answers_are_equal_as_their_kind_has_it(kind: KindName, a: str, b: str, is_same: bool) -> None:
    same = kind_named(kind).equality(problem_of_kind(kind))
    assert same(a, b) is same(b, a) is is_same


def test_a_long_answer_is_compared_at_once() -> None:
    same = kind_named("fact").equality(problem_of_kind("fact"))
    started = time.process_time()
    for text in ("a " * 8_000, "a, " * 8_000, "a in " * 8_000, "a city " * 8_000, " - " * 8_000):
        assert not same(text, "b")
        same(text, "a")
    assert time.process_time() - started < 2


def test_options_of_a_record_may_have_letters() -> None:
    _, details = recognise("Which?", {"options": {"A": "iron", "B": "wood"}})
    problem = Problem("1", "Which?", "B", kind="choice", details=details)
    kind = kind_of(problem)
    assert kind.options(problem) == ("A", "B")
    assert kind.is_right(problem, kind.answer(problem, "prose", "Answer: wood", "stop", None), None, None)


def test_options_that_are_given_are_answered_by_their_text() -> None:
    kind = kind_of(DRINKS)
    assert kind.options(DRINKS) == ("tea", "green tea", "coffee")
    assert kind.answer(DRINKS, "prose", "Answer: B", "stop", None) == "green tea"
    assert kind.shown(DRINKS, "green tea", None) == "green tea"
    with pytest.raises(UsageError):
        problem_of("1", "Which?", choices=["one"])


@pytest.mark.parametrize(
    ("choices", "text", "option"),
    [
        (("planet", "dwarf planet", "moon"), "The answer is a dwarf planet.", "dwarf planet"),
        (("an", "a", "the"), r"\boxed{a}", "a"),
        (("C", "C++", "C#"), "The answer is C#.", "C#"),
        (("<", ">", "="), "Answer: =", "="),
        (("1/2", "1/4", "1/3"), r"\boxed{\frac{1}{4}}", "1/4"),
    ],
)
def test_an_option_is_found_by_its_letter_or_its_text(
    choices: tuple[str, ...], text: str, option: str
) -> None:
    problem = problem_of("1", "Which?", choices=choices)
    assert kind_of(problem).answer(problem, "prose", text, "stop", None) == option


@pytest.mark.parametrize(("text", "option"), [(r"\boxed{2}", "3"), ("Answer: B", "2"), ("(3) 2", "3")])
def test_options_with_numbers_are_chosen_by_the_letters_of_the_statement(text: str, option: str) -> None:
    problem = problem_of("1", "Which is the largest prime of these?\n(1) 4\n(2) 5\n(3) 2")
    kind = kind_of(problem)
    assert kind.options(problem) == ("1", "2", "3")
    assert kind.answer(problem, "prose", text, "stop", None) == option


@pytest.mark.parametrize(
    "stated",
    [
        {"kind": "text", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        {"choices": ["a", "b"], "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        {"kind": "value", "choices": ["a", "b"]},
    ],
)
def test_a_message_of_two_kinds_is_refused(stated: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="of one kind"):
        problem_of("1", "Which one?", **stated)


def test_a_search_that_was_asked_for_takes_no_message_for_a_text() -> None:
    assert problem_of("1", "Write a haiku").kind == "text"
    assert problem_of("1", "Write a haiku", is_searched=True).kind == "value"
    assert problem_of("1", "What is 17 * 23?", kind="text").kind == "text"
    with pytest.raises(UsageError):
        problem_of("1", "Square n.", kind="code")


def test_a_problem_holds_no_half_of_a_surrogate_pair() -> None:
    half = "7 \ud83d"
    problem = Problem(half, half, half, {half: [half, 1]}, (Turn("user", half),), details={"x": half})
    assert problem == Problem(
        "7 ?", "7 ?", "7 ?", {"7 ?": ["7 ?", 1]}, (Turn("user", "7 ?"),), details={"x": "7 ?"}
    )
    assert kind_of(problem).statement(problem) == "7 ?"
    assert Problem("1", "三 \U0001f58a").question == "三 \U0001f58a"


def test_a_kind_that_is_registered_has_efforts_and_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line needs a class and modes; the rest has defaults."""
    monkeypatch.setitem(KINDS, "riddle", Entry("adascale.engine.kinds.value:Fact", ("prose",)))  # type: ignore[misc]
    riddle = Problem("1", "What has keys and opens no lock?", kind="riddle")  # type: ignore[arg-type]
    strategy = SearchRequest(effort="low").settings(riddle).strategy
    assert strategy == preset("value", "low").changed(modes=strategy.modes)
    assert prompt_of(riddle.kind, "prose") == "prose"
    assert kind_of(riddle).answer(riddle, "prose", "A piano.", "stop", None) == "A piano"
