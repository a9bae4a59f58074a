"""LangChain: structured output, and an agent of two tools. Prints each way in which that succeeded."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI
from shop_tools import Person, check, get_price, model, multiply, question, url

given = {"model": model, "base_url": f"{url}/v1", "api_key": "none", "max_retries": 0}
chats = {
    "chat": ChatOpenAI(**given),
    "responses": ChatOpenAI(**given, use_responses_api=True),
    "ollama": ChatOllama(model=model, base_url=url),
}
for name, chat in chats.items():
    people = [
        chat.with_structured_output(Person, method=method).invoke("Anna is 31 years old.")
        for method in ("json_schema", "function_calling")
    ]
    agent = create_agent(chat, [tool(get_price), tool(multiply)])
    asked = {"messages": [("user", question)]}
    check(name, agent.invoke(asked, {"recursion_limit": 16})["messages"][-1].text, *people)
    *_, found = agent.stream(asked, {"recursion_limit": 16}, stream_mode="values")
    check(f"{name} streamed", found["messages"][-1].text, *people)
