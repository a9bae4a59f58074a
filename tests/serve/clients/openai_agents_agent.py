"""openai-agents: typed output, and an agent of two tools. Prints each way in which that succeeded."""

import asyncio

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from shop_tools import Person, check, get_price, model, multiply, question, url

set_tracing_disabled(True)
tools = [function_tool(get_price), function_tool(multiply)]


async def main() -> None:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    for kind in (OpenAIChatCompletionsModel, OpenAIResponsesModel):
        chat = kind(model, client)
        reader = Agent("reader", instructions="Who is it?", model=chat, output_type=Person)
        person = (await Runner.run(reader, "Anna is 31 years old.")).final_output
        agent = Agent("shop", instructions="Use the tools.", model=chat, tools=tools)
        found = await Runner.run(agent, question, max_turns=8)
        check(kind.__name__, found.final_output, person)
        streamed = Runner.run_streamed(agent, question, max_turns=8)
        async for _ in streamed.stream_events():
            pass
        check(f"{kind.__name__} streamed", streamed.final_output, person)


asyncio.run(main())
