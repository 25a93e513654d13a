"""Model libraries start a thread per core and spin: on small data and a busy machine that costs minutes and gains none."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when a library is loaded, so before any test module imports one

import podium_cli.registry  # noqa: F401  urllib3 tries a socket once, when it is loaded: not within a test that has none
