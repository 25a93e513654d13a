"""`python -m podium_operator`: the operator."""

import sys

from podium_operator.main import main

sys.exit(main())
