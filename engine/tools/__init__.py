"""Tools that a model may call: how calls are read, checked, compared and constrained.

``tool`` has the types, ``inlining`` puts the references of a JSON schema in place, ``schema`` checks values
against it and repairs their types, ``reading``
parses calls in a model's text, ``equality`` compares calls, ``fields`` the fields of JSON objects,
``grammar`` writes the GBNF that constrains a call, ``judging`` says whether calls are correct, and ``kind``
makes a request with tools a kind of question.
"""
