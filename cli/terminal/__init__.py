"""The terminal itself: streams and colour, signals, progress of long work."""
