"""What the commands keep on the disk: results, traces, past runs, and the sources of training data."""
