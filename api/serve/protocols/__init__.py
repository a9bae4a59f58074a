"""The protocols, one file each: bodies of requests, how they are read, and how answers are written.

``chat``, ``completions`` and ``responses`` are OpenAI's, ``messages`` is Anthropic's, ``ollama`` (with
``ollama_models``) is Ollama's. ``event_stream`` is our own: it streams the event log to the
page. ``protocol`` and ``openai`` have what they share.
"""
