"""`python -m fuzz`: the long run. Prints counts, memory and open files; exit code 1 with the seed that repeats a finding."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from fuzz import grpc_fuzz, http_fuzz
from fuzz.http_fuzz import Finding
from fuzz.local_server import LocalServer, local_server

GROWTH_BYTES = 32 * 1024 * 1024
"""Of resident memory between the end of the warm-up and the end. Buffers of the largest bodies are kept by the allocator."""
WARM_SHARE = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description="Sends damaged requests to a server that it starts.")
    parser.add_argument("--count", type=int, default=100_000, help="damaged messages for each of HTTP and gRPC")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; a finding names the one that repeats it")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, local_server(Path(folder)) as server:
        try:
            return _run(server, chosen.seed, chosen.count)
        except Finding as finding:
            print(f"FINDING {finding}", file=sys.stderr)
            print((Path(folder) / "server.log").read_text()[-3000:], file=sys.stderr)
            return 1


def _run(server: LocalServer, seed: int, count: int) -> int:
    warm = max(1, int(count * WARM_SHARE))
    started = time.monotonic()
    for port, fuzz in ((server.address, http_fuzz.run), (server.grpc_address, grpc_fuzz.run)):
        print(f"warm-up {fuzz(port, seed, warm)}", flush=True)
    memory, files = server.resident_bytes(), server.open_files()
    for port, fuzz in ((server.address, http_fuzz.run), (server.grpc_address, grpc_fuzz.run)):
        print(f"then    {fuzz(port, seed + warm, count - warm)}", flush=True)
    grown, left = server.resident_bytes() - memory, server.open_files() - files
    seconds = time.monotonic() - started
    print(f"{seconds:.0f} s; resident memory {memory / 1e6:.1f} MB {grown / 1e6:+.1f} MB; open files {files} {left:+d}")
    if grown > GROWTH_BYTES or left > 0:
        print(f"FINDING the server grew: at most {GROWTH_BYTES / 1e6:.0f} MB and no file more are expected", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
