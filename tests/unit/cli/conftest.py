"""Model libraries start a thread per core and spin: on small data and a busy machine that costs minutes and gains none."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when a library is loaded, so before any test module imports one
