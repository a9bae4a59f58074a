"""The fields of requests, as pydantic models that read a body, or refuse it.

``fields`` has the base class and what several bodies share; ``body`` has the fields of every protocol, among
them the sampling parameters; ``tool_fields`` and ``formats`` have those of tools and of the reply's format.
"""
