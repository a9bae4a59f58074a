"""What the commands keep on the disk: results, traces and past runs."""
