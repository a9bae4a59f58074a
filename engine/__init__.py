"""Pure search: decides, accounts, records. No llama.cpp, no files, no terminal, no clock of its own."""
