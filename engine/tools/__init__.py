"""Tools that a model may call: what a call is, how it is read, checked, compared, and constrained.

``tool`` has the words, ``schema`` checks values against a tool's JSON schema and mends their types,
``reading`` finds calls in a model's text, whatever format it writes, ``equality`` says when two are the
same, ``grammar`` writes the GBNF that a call is written under, ``judging`` says whether calls are right.
"""
