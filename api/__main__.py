"""``python -m adascale``."""

from adascale.cli.app import main

main()
