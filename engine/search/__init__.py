"""One search from question to answer: tree, events, log, and the driver that runs many at once."""
