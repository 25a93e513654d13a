"""The limit of any server of this model: ONNX Runtime in one process, 64 rows per call, nothing around it.

The calls take turns over all rows, as the servers' requests do: asked the same 64 rows for ever, a processor that predicts
branches walks a forest's trees five times faster, which no server's client will see.

python onnx_rows.py MODEL.onnx ROWS.npy SECONDS      prints the rows per second and the CPU seconds per row
"""

import json
import sys
import time

import numpy as np
import onnxruntime

ROWS = 64
REQUESTS = 100
"""Different ones, as many as the servers are asked."""


def main() -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(sys.argv[1], options)
    rows = np.load(sys.argv[2])
    order = np.random.default_rng(0)
    asked = [rows[order.permutation(len(rows))[:ROWS]] for _ in range(REQUESTS)]
    calls, end = 0, time.monotonic() + 0.2
    while time.monotonic() < end:
        session.run(None, {"x": asked[calls % REQUESTS]})
        calls += 1
    calls = 0
    started, cpu, end = time.monotonic(), time.process_time(), time.monotonic() + float(sys.argv[3])
    while time.monotonic() < end:
        session.run(None, {"x": asked[calls % REQUESTS]})
        calls += 1
    wall, used = time.monotonic() - started, time.process_time() - cpu
    print(json.dumps({"rows_per_second": calls * ROWS / wall, "cpu_per_row": used / (calls * ROWS)}))


if __name__ == "__main__":
    main()
