"""Ports of loopback that nobody listens on, and that no other run of tests is given meanwhile.

Not from the kernel's own range: a port from there may be somebody's before the server that it is meant for has started.
Each process that asks holds a block of its own for its life, by a name that the kernel gives to one process only.
"""

import contextlib
import itertools
import os
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"
FIRST_PORT = 10_300
"""Below the range of outgoing connections, and of the fixed ports of the local cluster and the demo."""
PORTS_OF_A_BLOCK = 300
BLOCKS = 25

_ports: dict[int, Iterator[int]] = {}
"""By process id: a fork has none of its parent's."""
_held: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """All different, also from those that were given before, as long as the block reaches."""
    mine = _ports.get(os.getpid())
    if mine is None:
        mine = _ports[os.getpid()] = itertools.cycle(_claimed_block())
    found = (port for port in itertools.islice(mine, PORTS_OF_A_BLOCK) if _is_free(port))
    ports = list(itertools.islice(found, count))
    if len(ports) < count:
        raise RuntimeError(f"no {count} of {PORTS_OF_A_BLOCK} ports are free")
    return ports


def free_port() -> int:
    return free_ports(1)[0]


def _claimed_block() -> range:
    for number in range(BLOCKS):
        block = (os.getpid() + number) % BLOCKS
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0podium-test-ports-{block}")
        except OSError:  # another process holds it
            claim.close()
            continue
        _held.append(claim)
        first = FIRST_PORT + block * PORTS_OF_A_BLOCK
        return range(first, first + PORTS_OF_A_BLOCK)
    raise RuntimeError(f"{BLOCKS} other processes hold ports for tests")


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind((HOST, port))
        return True
    return False
