"""pydantic-ai: typed output in three ways, and an agent of two tools. Prints each way that succeeded."""

from pydantic_ai import Agent, NativeOutput, PromptedOutput, UsageLimits
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from shop_tools import Person, check, get_price, model, multiply, question, url

provider = OpenAIProvider(base_url=f"{url}/v1", api_key="none")
for kind in (OpenAIChatModel, OpenAIResponsesModel):
    chat = kind(model, provider=provider)
    people = [
        Agent(chat, output_type=output).run_sync("Anna is 31 years old.").output
        for output in (Person, NativeOutput(Person), PromptedOutput(Person))
    ]
    agent = Agent(chat, tools=[get_price, multiply])
    found = agent.run_sync(question, usage_limits=UsageLimits(request_limit=8))
    check(kind.__name__, found.output, *people)
