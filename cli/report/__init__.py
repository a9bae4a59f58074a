"""What the commands print when they are done: answers and figures as JSON, tables and pictures."""
