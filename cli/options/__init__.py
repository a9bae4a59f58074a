"""What the commands take: every option once, their values, the config file and completion."""
