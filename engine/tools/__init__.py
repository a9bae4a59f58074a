"""Tools that a model may call: how calls are read, checked, compared and constrained.

``calls`` has the types of tools and calls, and reads calls in a model's text; ``schema`` checks values
against a JSON schema, ``equality`` compares calls and the fields of JSON objects,
``grammar`` writes the GBNF that constrains both.
"""
