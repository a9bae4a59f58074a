import pytest

from adascale.engine.errors import decimal


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.8124, ".3f", ".812"),
        (-0.05, ".2f", "-.05"),
        (0.0123, "+.2g", "+.012"),
        (10.5, ".1f", "10.5"),
        (1.0, ".3f", "1.000"),
        (0, "g", "0"),
    ],
)
def test_only_a_leading_zero_is_left_out(value: float, form: str, text: str) -> None:
    assert decimal(value, form) == text
