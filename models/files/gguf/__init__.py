"""GGUF files, read without llama.cpp.

``header`` reads the key/values and the table of tensors, and tells a torn file from a damaged one; ``split``
names the parts of a model in several files, ``layers`` counts what a token and a branch keep in memory, and
``info`` has the facts that the rest of the program asks for.
"""
