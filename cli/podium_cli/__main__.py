"""`python -m podium_cli`: the command line, where its script is not on the path."""

from podium_cli.main import main

main()
