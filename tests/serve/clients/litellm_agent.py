"""litellm: an agent of two tools in a loop of its own, by both interfaces. Prints what it got as JSON."""

import json
import sys
from collections.abc import Callable
from typing import Any

import litellm
from shop_tools import Person, called, get_price, multiply

url, model, question = sys.argv[1:]
litellm.suppress_debug_info = True


def tool(name: str, description: str, **types: str) -> dict[str, Any]:
    """A tool in OpenAI's shape."""
    properties = {key: {"type": value} for key, value in types.items()}
    schema = {"type": "object", "properties": properties, "required": list(types)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


TOOLS = [
    tool("get_price", "The price of one item in euros.", item="string"),
    tool("multiply", "Multiply two numbers.", a="number", b="number"),
]
FUNCTIONS: dict[str, Callable[..., float]] = {"get_price": get_price, "multiply": multiply}

for name, base in (("openai", f"{url}/v1"), ("anthropic", url), ("ollama_chat", url)):
    given = {"model": f"{name}/{model}", "api_base": base, "api_key": "none"}
    asked = [{"role": "user", "content": "Anna is 31 years old."}]
    person = litellm.completion(messages=asked, response_format=Person, **given)
    messages: list[Any] = [{"role": "user", "content": question}]
    called.clear()
    for _ in range(8):
        said = litellm.completion(messages=messages, tools=TOOLS, **given).choices[0].message
        messages.append(said)
        if not said.tool_calls:
            break
        for call in said.tool_calls:
            result = FUNCTIONS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
    told = {
        "client": name,
        "bound": called[0][0],
        "people": [json.loads(person.choices[0].message.content)],
        "called": called,
        "said": messages[-1].content,
    }
    print(json.dumps(told), flush=True)
