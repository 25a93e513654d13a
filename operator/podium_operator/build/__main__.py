"""`python -m podium_operator.build`."""

import sys

from podium_operator.build.command import main

sys.exit(main(sys.argv[1:]))
