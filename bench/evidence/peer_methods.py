"""Answers of its-hub and optillm, as their READMEs have it: runs in an environment that has them.

Usage: ``python -m bench.evidence.peer_methods < REQUESTS.jsonl``; ``bench.evidence.peers``, the other side,
starts it by its path. It reads a request a line, writes an answer a line, and imports nothing of adascale.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
import time
from typing import Any

SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
"""its_hub.core.utils.QWEN_SYSTEM_PROMPT; the same for all."""

BOXED = r"\\boxed\{([^}]+)\}"
"""What its-hub's documentation votes on in mathematics."""


def vote(asked: dict[str, Any]) -> dict[str, Any]:
    """Self-consistency at a budget, or with Beta stopping.

    Replies in ``kept`` were drawn for another budget on the same question, and are given before new ones:
    replies to one prompt are independent, and a budget of 8 is that of 4 with four more. With ``at_once`` 1
    they come one after another, as a server of one context writes them, and seconds are the sum of theirs.
    """
    its_hub: Any = importlib.import_module("its_hub")
    api: Any = importlib.import_module("its_hub.api")
    voting: Any = importlib.import_module("its_hub.core.algorithms.self_consistency")
    model: Any = its_hub.OpenAICompatibleLanguageModel
    patient = importlib.import_module("aiohttp").ClientTimeout(total=None)

    kept: list[dict[str, Any]] = asked["kept"]
    before, used = len(kept), 0
    turn = asyncio.Semaphore(asked["at_once"])

    class Replies(model):  # type: ignore[misc]
        def _get_session(self, loop: Any) -> Any:
            """Its session, without the limit of 300 seconds, which a slow machine takes for one reply."""
            session = super()._get_session(loop)
            session._timeout = patient
            return session

        async def agenerate_single(self, messages: Any, *args: Any, **changed: Any) -> Any:
            nonlocal used
            async with turn:
                at, used = used, used + 1
                if at < before:
                    await asyncio.sleep(0.02)  # Beta has to see a reply before the next one
                    return {"role": "assistant", "content": kept[at]["text"]}
                usage, began = api.GenerationUsage(), time.monotonic()
                changed["usage_accumulator"] = usage
                message = await super().agenerate_single(messages, *args, **changed)
                seconds, tokens = time.monotonic() - began, usage.completion_tokens
                kept.append({"text": message["content"], "tokens": tokens, "seconds": round(seconds, 2)})
                return message

    async def ask() -> Any:
        async with Replies(asked["url"], "none", asked["model"], system_prompt=SYSTEM) as lm:
            return await algorithm.ainfer(lm, asked["question"], budget=asked["budget"])

    found = its_hub.BetaSelfConsistency if asked["beta"] else its_hub.SelfConsistency
    algorithm = found(
        consistency_space_projection_func=voting.create_regex_projection_function(BOXED),
        orchestrator=its_hub.LMOrchestrator(max_concurrency=-1),  # with 1, its Beta waits for itself forever
    )
    began = time.monotonic()
    chosen = asyncio.run(ask())
    serial = asked["at_once"] == 1
    return {
        "text": chosen["content"],
        "replies": used,
        "tokens": sum(each["tokens"] for each in kept[:used]),
        "seconds": sum(each["seconds"] for each in kept[:used]) if serial else time.monotonic() - began,
        "drawn": kept[before:],
    }


def chat(asked: dict[str, Any]) -> dict[str, Any]:
    """One request to a server, with or without a technique of optillm before the name of the model."""
    openai: Any = importlib.import_module("openai")
    client = openai.OpenAI(base_url=asked["url"], api_key="none", timeout=7200.0, max_retries=0)
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked["question"]}]
    began = time.monotonic()
    reply = client.chat.completions.create(
        model=asked["model"], messages=messages, **asked.get("sampling", {})
    )
    text = reply.choices[0].message.content
    return {"text": text, "tokens": reply.usage.completion_tokens, "seconds": time.monotonic() - began}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    for line in sys.stdin:
        asked = json.loads(line)
        method = vote if "budget" in asked else chat
        try:
            answer = method(asked)
        except Exception as exc:
            answer = {"error": f"{type(exc).__name__}: {exc}"[:500]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
