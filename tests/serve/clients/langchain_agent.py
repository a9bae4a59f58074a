"""LangChain: a bound tool, structured output, and an agent of two tools. Prints what it got as JSON."""

import json
import sys

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI
from shop_tools import Person, called, get_price, multiply

url, model, question = sys.argv[1:]

tools = [tool(get_price), tool(multiply)]
openai = ChatOpenAI(model=model, base_url=f"{url}/v1", api_key="none", max_retries=0, logprobs=True)
responses = ChatOpenAI(
    model=model, base_url=f"{url}/v1", api_key="none", max_retries=0, use_responses_api=True
)
chats = {"chat": openai, "responses": responses, "ollama": ChatOllama(model=model, base_url=url)}
for name, chat in chats.items():
    bound = chat.bind_tools(tools).invoke("What is the price of an apple?")
    people = {
        method: chat.with_structured_output(Person, method=method)
        .invoke("Anna is 31 years old.")
        .model_dump()
        for method in ("json_schema", "function_calling")
    }
    agent = create_agent(chat, tools)
    for streamed in (False, True):
        called.clear()
        asked = {"messages": [("user", question)]}
        if streamed:
            *_, found = agent.stream(asked, {"recursion_limit": 16}, stream_mode="values")
        else:
            found = agent.invoke(asked, {"recursion_limit": 16})
        told = {
            "client": f"{name}{' streamed' if streamed else ''}",
            "bound": bound.tool_calls[0]["name"],
            "people": list(people.values()),
            "called": called,
            "said": found["messages"][-1].text,
        }
        print(json.dumps(told), flush=True)
