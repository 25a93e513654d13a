"""What a run that was killed left of its test network is taken away, and nothing of a run that goes on."""

import socket
import subprocess

import pytest

from harness.network import PodNetwork, cleared, run

pytestmark = pytest.mark.integration


def test_a_network_that_processes_use_stays_and_one_that_was_left_goes() -> None:
    network = PodNetwork()
    try:
        network.up()
        name, _ = network.add()
        subnet = int(network.prefix.rpartition(".")[2])
        with subprocess.Popen(["ip", "netns", "exec", name, "cat"], stdin=subprocess.PIPE) as inside:
            while str(inside.pid) not in run("ip", "netns", "pids", name):
                assert inside.poll() is None
            assert not cleared(subnet)
        with socket.create_server((network.gateway, 0)):
            assert not cleared(subnet)
        assert name in run("ip", "netns")
        assert cleared(subnet)
        assert name not in run("ip", "netns")
        assert network.bridge not in run("ip", "-oneline", "link")
    finally:
        network.down()
