"""The protocols in which questions are asked.

Each file has the bodies of a protocol, what they ask, and what writes the answer; ``protocol`` is what they
share. ``chat``, ``completions`` and ``responses`` are OpenAI's, ``messages`` is Anthropic's, ``ollama``
(with ``ollama_models``) Ollama's. ``event_stream`` is our own: the event log as it is, for ``ask --server``
and for the page.
"""
