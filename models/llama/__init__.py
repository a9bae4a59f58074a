"""llama.cpp: one context, many branches, each prefix evaluated once."""
