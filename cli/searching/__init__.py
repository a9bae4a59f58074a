"""How a command runs a search.

``asking`` has what is asked: the question, its schema, the conversation before it, and the fallback.
``models`` opens the models that the options name, and says how they search a problem. ``one`` searches a
single problem, shows it on stderr and keeps its trace.
"""
