"""litellm: an agent of two tools in a loop of its own, by both interfaces. Prints what it got as JSON."""

import json
import sys
from typing import Any

import litellm
from pydantic import BaseModel

url, model, question = sys.argv[1:]
litellm.suppress_debug_info = True


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def tool(name: str, description: str, **types: str) -> dict[str, Any]:
    """A tool in OpenAI's shape."""
    properties = {key: {"type": value} for key, value in types.items()}
    schema = {"type": "object", "properties": properties, "required": list(types)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


TOOLS = [
    tool("get_price", "The price of one item in euros.", item="string"),
    tool("multiply", "Multiply two numbers.", a="number", b="number"),
]

for name, base in (("openai", f"{url}/v1"), ("anthropic", url), ("ollama_chat", url)):
    given = {"model": f"{name}/{model}", "api_base": base, "api_key": "none"}
    asked = [{"role": "user", "content": "Anna is 31 years old."}]
    person = litellm.completion(messages=asked, response_format=Person, **given)
    messages: list[Any] = [{"role": "user", "content": question}]
    called: list[list[Any]] = []
    for _ in range(8):
        said = litellm.completion(messages=messages, tools=TOOLS, **given).choices[0].message
        messages.append(said)
        if not said.tool_calls:
            break
        for call in said.tool_calls:
            arguments = json.loads(call.function.arguments)
            called.append([call.function.name, *arguments.values()])
            result = 3.0 if call.function.name == "get_price" else arguments["a"] * arguments["b"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
    told = {
        "client": name,
        "bound": called[0][0],
        "people": [json.loads(person.choices[0].message.content)],
        "called": called,
        "said": messages[-1].content,
    }
    print(json.dumps(told), flush=True)
