"""litellm: an agent of two tools in a loop of its own. Prints each protocol by which that succeeded."""

import json
from collections.abc import Callable
from typing import Any

import litellm
from shop_tools import Person, check, get_price, model, multiply, question, url

litellm.suppress_debug_info = True


def tool(name: str, **types: str) -> dict[str, Any]:
    """A tool in OpenAI's shape."""
    properties = {key: {"type": value} for key, value in types.items()}
    schema = {"type": "object", "properties": properties, "required": list(types)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [tool("get_price", item="string"), tool("multiply", a="number", b="number")]
FUNCTIONS: dict[str, Callable[..., float]] = {"get_price": get_price, "multiply": multiply}

for name, base in (("openai", f"{url}/v1"), ("anthropic", url), ("ollama_chat", url)):
    given = {"model": f"{name}/{model}", "api_base": base, "api_key": "none"}
    asked = [{"role": "user", "content": "Anna is 31 years old."}]
    person = litellm.completion(messages=asked, response_format=Person, **given).choices[0].message.content
    parts = litellm.completion(messages=asked, response_format=Person, stream=True, **given)
    streamed = "".join(part.choices[0].delta.content or "" for part in parts)
    messages: list[Any] = [{"role": "user", "content": question}]
    for _ in range(8):
        said = litellm.completion(messages=messages, tools=TOOLS, **given).choices[0].message
        messages.append(said)
        if not said.tool_calls:
            break
        for call in said.tool_calls:
            result = FUNCTIONS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
    check(name, messages[-1].content, *map(Person.model_validate_json, (person, streamed)))
