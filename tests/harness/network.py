"""One bridge and a network namespace per pod, so that real serving processes have real pod addresses without a kubelet.

Host names of Services are written into each namespace's own /etc/hosts (`ip netns exec` mounts /etc/netns/NAME over /etc).
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class PodNetwork:
    """A bridge with an address of its own; `add` gives a namespace with the next one."""

    def __init__(self, tag: str, subnet: int) -> None:
        self.bridge = f"pdt{tag}"[:15]
        self.prefix = f"10.231.{subnet}"
        self.gateway = f"{self.prefix}.1"
        self._tag = tag
        self._next = 2
        self._namespaces: dict[str, str] = {}

    def up(self) -> None:
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "addr", "add", f"{self.gateway}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")

    def down(self) -> None:
        for name in list(self._namespaces):
            self.remove(name)
        run("ip", "link", "del", self.bridge, check=False)

    def add(self) -> tuple[str, str]:
        """A new namespace: (its name, its address)."""
        number = self._next
        self._next += 1
        if number > 254:
            raise RuntimeError("the test network has no address left")
        name, address = f"pdt-{self._tag}-{number}", f"{self.prefix}.{number}"
        veth = f"v{self._tag}{number}"[:15]
        run("ip", "netns", "add", name)
        run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", name)
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
        self._namespaces[name] = veth
        return name, address

    def remove(self, name: str) -> None:
        veth = self._namespaces.pop(name, None)
        if veth is not None:
            run("ip", "link", "del", veth, check=False)
        run("ip", "netns", "del", name, check=False)
        shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)

    def cut(self, name: str) -> None:
        """The pod stays alive and answers nobody."""
        run("ip", "link", "set", self._namespaces[name], "down")

    def mend(self, name: str) -> None:
        run("ip", "link", "set", self._namespaces[name], "up")

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
