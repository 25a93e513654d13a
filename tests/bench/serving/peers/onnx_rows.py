"""The limit of any server of this model: ONNX Runtime in one process, 64 rows per call, nothing around it.

python onnx_rows.py MODEL.onnx SECONDS      prints the rows per second and the CPU seconds per row
"""

import json
import sys
import time

import numpy as np
import onnxruntime

ROWS = 64


def main() -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(sys.argv[1], options)
    rows = np.random.default_rng(0).random((ROWS, 30), dtype=np.float32) * 100
    calls, end = 0, time.monotonic() + 0.2
    while time.monotonic() < end:
        session.run(None, {"x": rows})
    started, cpu, end = time.monotonic(), time.process_time(), time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        session.run(None, {"x": rows})
        calls += 1
    wall, used = time.monotonic() - started, time.process_time() - cpu
    print(json.dumps({"rows_per_second": calls * ROWS / wall, "cpu_per_row": used / (calls * ROWS)}))


if __name__ == "__main__":
    main()
