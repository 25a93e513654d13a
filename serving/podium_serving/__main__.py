"""Makes `python -m podium_serving` the image's one entry point."""

import sys

from podium_serving.main import main

if __name__ == "__main__":
    sys.exit(main())
