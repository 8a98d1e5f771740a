"""``python -m tilewire``."""

from tilewire.cli.main import main

main()
