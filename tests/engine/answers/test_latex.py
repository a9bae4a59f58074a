import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.answers.latex import bare, readable


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"3. Subtract: \( \frac{3}{4} \times 8 = 6 \)", "3. Subtract: 3/4 × 8 = 6 "),
        (r"**So \boxed{24}**", "**So 24**"),
        (r"\boxed{\frac{1}{2}}", "**1/2**"),
        (r"\[ \left( \dfrac{a+b}{c} \right)^{2} \]", " ( (a+b)/c )^2 "),
        (r"x^{n+1} \leq \sqrt{2} \cdot \sqrt{a + b}", "x^(n+1) ≤ √2 · √(a + b)"),
        (r"\frac{\frac{1}{2}}{3}", "(1/2)/3"),
        (r"256^\frac12", "256^(1/2)"),
        (r"\frac12 \text{ of } \$20 is 50\% of \textbf{that}", "1/2 of $20 is 50% of that"),
        (r"n^2 \equiv 0 \pmod{43}", "n^2 ≡ 0 (mod 43)"),
        (r"   7 \text{ wagons} \, \times 38", "   7 wagons × 38"),
        ("She pays $2 per egg and gets $18.", "She pays $2 per egg and gets $18."),
        (r"\begin{align*} x &= 1 \\ y &= 2 \end{align*}", " x &= 1 y &= 2 "),
        (r"\unknown{x} \frac{1 and } { \leqslant", r"\unknown{x} \frac{1 and } { \leqslant"),
        (r"2\frac{1}{2}, 5\frac{3}{4}\text{ cups}", "2 1/2, 5 3/4 cups"),
        (r"\frac{1}{2}\frac{3}{4} \frac{2x}{3}y x\frac12 \frac12^2", "(1/2)(3/4) (2x/3)y x(1/2) (1/2)^2"),
        (r"\boxed{\{1, 2\}}, \boxed{5{,}000}", "**{1, 2}**, **5,000**"),
        (r"\boxed{1,\!000} \gt \lfloor \log_2 x \rfloor \in \mathbb{R}", "**1,000** > ⌊ log_2 x ⌋ ∈ R"),
        (r"16 \text{ eggs/d", "16 eggs/d"),  # still being written
        (r"It is \boxed{39", "It is 39"),
    ],
)
def test_what_is_understood_is_plain(latex: str, plain: str) -> None:
    assert readable(latex) == plain


@given(st.text(alphabet=r"\{}[]()^_$%&fracboxedsqrttimes 12", max_size=80))
def test_nothing_breaks_it(text: str) -> None:
    readable(text)


@pytest.mark.timeout(5)
def test_a_hostile_step_takes_no_time() -> None:
    readable("\\frac{" * 20_000 + "}" * 20_000)


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        (r"\text{She makes } \$18 \text{ a day}", "She makes 18 a day"),
        (r"\left(1,\, 2\right)", "(1, 2)"),
        (r"0.\overline{3}", r"0.\overline{3}"),
        ("**2*3**", "2*3"),
    ],
)
def test_an_answer_is_bare(answer: str, left: str) -> None:
    assert bare(answer) == left
