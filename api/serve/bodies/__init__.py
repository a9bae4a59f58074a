"""The fields of requests, as pydantic models that read a body, refuse it in our own words, and describe it.

``fields`` has the base and what several bodies share, ``sampler``, ``tool_fields`` and ``formats`` the fields
of the sampler, of tools and of the reply's format; ``body`` is what a question has in every protocol.
"""
