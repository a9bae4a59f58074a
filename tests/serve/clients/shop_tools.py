"""What the agents have in common: typed output, and the tools of a shop, which note their calls."""

from pydantic import BaseModel

called: list[list[object]] = []


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_price(item: str) -> float:
    """The price of one item in euros."""
    called.append(["get_price", item])
    return 3.0


def multiply(a: float, b: float) -> float:
    """Multiply two numbers."""
    called.append(["multiply", a, b])
    return a * b
