"""Removes the packet counters (nfacct objects) that kube-proxy makes in the kernel and never takes away.

Spoken over netlink directly: the program that could do it is on few machines.
"""

import socket
import struct

NETLINK_NETFILTER = 12
DELETE_COUNTER = 7 << 8 | 3
"""Subsystem 7 (accounting), message 3 (delete)."""
REQUEST_AND_ACKNOWLEDGE = 1 | 4
NAME_ATTRIBUTE = 1
COUNTERS = ("ct_state_invalid_dropped_pkts", "iptables_ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts")


def delete_message(name: str) -> bytes:
    """The netlink message: header, an empty netfilter header, and the name, padded to a multiple of four."""
    value = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(value), NAME_ATTRIBUTE) + value
    body = struct.pack("=BBH", 0, 0, 0) + attribute + b"\0" * (-len(attribute) % 4)
    return struct.pack("=IHHII", 16 + len(body), DELETE_COUNTER, REQUEST_AND_ACKNOWLEDGE, 1, 0) + body


def remove_counters() -> None:
    """No answer matters: a counter that is missing, or that another kube-proxy's rules still use, stays as it is."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as link:
            link.settimeout(1.0)
            for name in COUNTERS:
                link.send(delete_message(name))
                link.recv(4096)
    except OSError:
        return  # a kernel without netfilter's netlink has no counters either
