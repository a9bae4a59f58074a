"""pydantic-ai: typed output in three ways, and an agent of two tools. Prints what it got as JSON."""

import json
import sys

from pydantic_ai import Agent, NativeOutput, PromptedOutput, UsageLimits
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from shop_tools import Person, called, get_price, multiply

url, model, question = sys.argv[1:]

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
