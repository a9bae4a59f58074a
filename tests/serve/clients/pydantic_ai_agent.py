"""pydantic-ai: typed output in three ways, and an agent of two tools. Prints what it got as JSON."""

import json
import sys

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput, UsageLimits
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

url, model, question = sys.argv[1:]
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


provider = OpenAIProvider(base_url=f"{url}/v1", api_key="none")
chats = {
    "chat": OpenAIChatModel(model, provider=provider),
    "responses": OpenAIResponsesModel(model, provider=provider),
}
for name, chat in chats.items():
    people = [
        Agent(chat, output_type=output).run_sync("Anna is 31 years old.").output.model_dump()
        for output in (Person, NativeOutput(Person), PromptedOutput(Person))
    ]
    called.clear()
    agent = Agent(chat, tools=[get_price, multiply])
    found = agent.run_sync(question, usage_limits=UsageLimits(request_limit=8))
    told = {
        "client": name,
        "bound": called[0][0],
        "people": people,
        "called": called,
        "said": found.output,
    }
    print(json.dumps(told), flush=True)
