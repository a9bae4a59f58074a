"""What the agents have in common: typed output, and the tools of a shop, which note their calls."""

import sys

from pydantic import BaseModel

url, model, question = sys.argv[1:]

called: list[list[object]] = []


class Person(BaseModel):
    """A person."""

    name: str
    age: int


ANNA = Person(name="Anna", age=31)


def get_price(item: str) -> float:
    """The price of one item in euros."""
    called.append(["get_price", item])
    return 3.0


def multiply(a: float, b: float) -> float:
    """Multiply two numbers."""
    called.append(["multiply", a, b])
    return a * b


def check(client: str, said: str, *people: object) -> None:
    """Print that a client has solved its task and read the person."""
    assert people
    assert all(person == ANNA for person in people), people
    assert called == [["get_price", "apple"], ["multiply", 3, 7]], called
    assert "21" in said, said
    called.clear()
    print(client, flush=True)
