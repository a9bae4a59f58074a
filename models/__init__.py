"""The outside: GGUF files, llama.cpp, process reward models, model sources."""
