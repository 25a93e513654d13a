"""One bridge and a network namespace per pod, so that real serving processes have real pod addresses without a kubelet.

Host names of Services are written into each namespace's own /etc/hosts (`ip netns exec` mounts /etc/netns/NAME over /etc).
Any number may be there at once: each takes a subnet of its own, claimed by a name that the kernel gives to one process only.
What a run that was killed left of one goes when the next run takes it.
"""

import shutil
import socket
import subprocess
from collections import deque
from collections.abc import Mapping
from pathlib import Path

TERMINATION_LOG = Path("/dev/termination-log")
"""One file for all; each pod mounts its own over it. Who deletes it takes those mounts away."""
BRIDGES = "pdt"


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _new_bridge() -> tuple[int, socket.socket]:
    """The number of the first subnet that no other network has, and the claim on it."""
    for subnet in range(1, 255):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0podium-test-network-{subnet}")
            if _is_made(subnet) or (cleared(subnet) and _is_made(subnet)):
                return subnet, claim
        except OSError:  # another process holds it
            pass
        except BaseException:
            claim.close()
            raise
        claim.close()
    raise RuntimeError("254 test networks are there")


def _is_made(subnet: int) -> bool:
    """Makes its bridge. False: there is one."""
    try:
        run("ip", "link", "add", f"{BRIDGES}{subnet}", "type", "bridge")
    except RuntimeError as refused:
        if "File exists" not in str(refused):
            raise
        return False
    return True


def cleared(subnet: int) -> bool:
    """Takes away what a run left of a network. False: processes use it."""
    names = sorted(path.name for path in Path("/run/netns").glob(f"{BRIDGES}-{subnet}-*"))
    if any(run("ip", "netns", "pids", name, check=False).strip() for name in names) or _has_listeners(subnet):
        return False
    for name in names:
        run("ip", "netns", "del", name, check=False)
        shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)
    run("ip", "link", "del", f"{BRIDGES}{subnet}", check=False)
    return True


def _has_listeners(subnet: int) -> bool:
    """At the gateway's address, in the kernel's way of writing it: https://docs.kernel.org/networking/proc_net_tcp.html."""
    gateway = "".join(f"{number:02X}" for number in (1, subnet, 231, 10))
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(fields[1].startswith(f"{gateway}:") and fields[3] == "0A" for fields in lines)


class PodNetwork:
    """A bridge with an address of its own; `add` gives a namespace with the address that was given up the longest ago."""

    def __init__(self) -> None:
        """Makes the bridge."""
        self._tag, self._claim = _new_bridge()
        self.bridge = f"{BRIDGES}{self._tag}"
        self.prefix = f"10.231.{self._tag}"
        self.gateway = f"{self.prefix}.1"
        self._free = deque(range(2, 255))
        self._made = 0
        self._namespaces: dict[str, tuple[str, int]] = {}
        """Link and last octet by name."""

    def up(self) -> None:
        run("ip", "addr", "add", f"{self.gateway}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")

    def down(self) -> None:
        for name in list(self._namespaces):
            self.remove(name)
        run("ip", "link", "del", self.bridge, check=False)
        self._claim.close()
        if f" {BRIDGES}" not in run("ip", "-oneline", "link", "show", "type", "bridge"):  # else its pods would lose theirs
            TERMINATION_LOG.unlink(missing_ok=True)

    def add(self) -> tuple[str, str]:
        """A new namespace: (its name, its address)."""
        if not self._free:
            raise RuntimeError("253 pods are there at once: the test network has no address left")
        number = self._free.popleft()
        self._made += 1
        name, address = f"{BRIDGES}-{self._tag}-{self._made}", f"{self.prefix}.{number}"
        veth = f"v{self._tag}x{self._made}"
        run("ip", "netns", "add", name)
        hardware = f"02:00:0a:e7:00:{number:02x}"  # goes with the address, so that no neighbour's table is wrong about it
        run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "address", hardware, "netns", name)
        run("ip", "link", "set", veth, "master", self.bridge, "up")
        for arguments in (
            ("addr", "add", f"{address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            run("ip", "-n", name, *arguments)
        etc = Path("/etc/netns") / name
        etc.mkdir(parents=True, exist_ok=True)
        (etc / "hosts").write_text("127.0.0.1 localhost\n")
        (etc / "host.conf").write_text("multi on\n")
        (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self._namespaces[name] = veth, number
        return name, address

    def remove(self, name: str) -> None:
        veth, number = self._namespaces.pop(name, ("", 0))
        if veth:
            run("ip", "link", "del", veth, check=False)
            self._free.append(number)
        run("ip", "netns", "del", name, check=False)
        shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)

    def cut(self, name: str) -> None:
        """The pod stays alive and answers nobody."""
        run("ip", "link", "set", self._namespaces[name][0], "down")

    def mend(self, name: str) -> None:
        run("ip", "link", "set", self._namespaces[name][0], "up")

    def write_hosts(self, addresses: Mapping[str, list[str]]) -> None:
        """`addresses` by host name, for all namespaces. In place: the mounted inode has to stay the same."""
        lines = ["127.0.0.1 localhost"]
        lines += [f"{address} {host}" for host, found in sorted(addresses.items()) for address in found]
        text = "\n".join(lines) + "\n"
        for name in self._namespaces:
            path = Path("/etc/netns") / name / "hosts"
            if path.exists() and path.read_text() != text:
                with path.open("r+") as file:
                    file.truncate(0)
                    file.write(text)
