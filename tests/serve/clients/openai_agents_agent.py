"""openai-agents: typed output, and an agent of two tools. Prints what it got as JSON."""

import asyncio
import json
import sys

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from shop_tools import Person, called, get_price, multiply

url, model, question = sys.argv[1:]
set_tracing_disabled(True)
tools = [function_tool(get_price), function_tool(multiply)]


async def main() -> None:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    for kind in (OpenAIChatCompletionsModel, OpenAIResponsesModel):
        chat = kind(model, client)
        reader = Agent("reader", instructions="Who is it?", model=chat, output_type=Person)
        person = await Runner.run(reader, "Anna is 31 years old.")
        agent = Agent("shop", instructions="Use the tools.", model=chat, tools=tools)
        for streamed in (False, True):
            called.clear()
            if streamed:
                found = Runner.run_streamed(agent, question, max_turns=8)
                async for _ in found.stream_events():
                    pass
            else:
                found = await Runner.run(agent, question, max_turns=8)
            told = {
                "client": f"{kind.__name__}{' streamed' if streamed else ''}",
                "bound": called[0][0],
                "people": [person.final_output.model_dump()],
                "called": called,
                "said": found.final_output,
            }
            print(json.dumps(told), flush=True)


asyncio.run(main())
