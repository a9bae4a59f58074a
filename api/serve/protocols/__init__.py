"""The protocols that clients speak: each reads a body into a search, and writes its progress and its end.

``chat`` and ``responses`` are OpenAI's and share ``openai_fields``, ``messages`` is Anthropic's. Each is a
``rendering.Dialect``: a table of fields that reads a body, with its ``conversation``, into an
``AnswerRequest``, and a ``Rendering`` that writes the answer. ``event_log`` streams a search as it is, for
``ask --server`` and the page.
"""
