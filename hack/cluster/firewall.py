"""The cluster's packet filter rules: chains of our own, put in at `up` and taken out whole at `down`.

What they promise: builds reach the outside and nothing of the cluster; neighbours on the user's network reach nothing of
the cluster; pods and builds reach the outside under the machine's address.
"""

import re
import subprocess
from collections.abc import Iterable

from cluster.console import Failure, run
from cluster.layout import BUILD_BRIDGE, BUILD_NETWORK, CHAIN_PREFIX, POD_BRIDGE, POD_NETWORK, SERVICE_NETWORK

Rule = tuple[str, str]
"""A chain and the rule's words."""

COMMENT = '-m comment --comment "podium local cluster"'
ANSWER = "-m conntrack --ctstate RELATED,ESTABLISHED"
TOOLS = ("iptables", "ip6tables")
BUILTIN = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})


def chain(name: str) -> str:
    return f"{CHAIN_PREFIX}{name}"


def rules() -> dict[str, list[Rule]]:
    """All rules by table. The order within a chain counts.

    Builds are kept from Services in `raw`, before kube-proxy rewrites the address: behind it, kube-proxy's own chain would
    accept the packet, whichever of the two came first after a restart.
    The loopback rule is the other half of route_localnet, which NodePorts on 127.0.0.1 need: without it a neighbour could
    send packets to the machine's loopback services.
    """
    return {
        "raw": [
            (chain("PREROUTING"), f"-i {BUILD_BRIDGE} -d {SERVICE_NETWORK} -j DROP"),
            (chain("PREROUTING"), "! -i lo -d 127.0.0.0/8 -j DROP"),
        ],
        "filter": [*input_rules(), *forward_rules()],
        "nat": [
            (chain("POSTROUTING"), f"-s {POD_NETWORK} ! -d {POD_NETWORK} ! -o {POD_BRIDGE} -j MASQUERADE"),
            (chain("POSTROUTING"), f"-s {BUILD_NETWORK} ! -o {BUILD_BRIDGE} -j MASQUERADE"),
        ],
    }


def input_rules() -> list[Rule]:
    """Who may talk to this machine: pods may, builds only to a name server, neighbours not to the bridges' addresses."""
    return [
        (chain("INPUT"), f"-i {BUILD_BRIDGE} -j {chain('BUILD-INPUT')}"),
        (chain("INPUT"), f"-i {POD_BRIDGE} -j RETURN"),
        (chain("INPUT"), "-i lo -j RETURN"),
        (chain("INPUT"), f"-d {POD_NETWORK} {ANSWER} -j RETURN"),
        (chain("INPUT"), f"-d {POD_NETWORK} -j REJECT"),
        (chain("INPUT"), f"-d {BUILD_NETWORK} -j REJECT"),
        (chain("BUILD-INPUT"), f"{ANSWER} -j RETURN"),
        (chain("BUILD-INPUT"), f"-d {POD_NETWORK} -j REJECT"),
        (chain("BUILD-INPUT"), "-p udp --dport 53 -j ACCEPT"),
        (chain("BUILD-INPUT"), "-p tcp --dport 53 -j ACCEPT"),
        (chain("BUILD-INPUT"), "-j REJECT"),
    ]


def forward_rules() -> list[Rule]:
    """Who may talk through this machine: pods and builds to the outside, nobody from outside to them."""
    return [
        (chain("FORWARD"), f"-i {BUILD_BRIDGE} -j {chain('BUILD-FORWARD')}"),
        (chain("FORWARD"), f"-o {BUILD_BRIDGE} {ANSWER} -j ACCEPT"),
        (chain("FORWARD"), f"-o {BUILD_BRIDGE} -j REJECT"),
        # Not to Services: kube-proxy's chain answers for those without pods, and it may come after ours.
        (chain("FORWARD"), f"-i {POD_BRIDGE} ! -d {SERVICE_NETWORK} -j ACCEPT"),
        (chain("FORWARD"), f"-o {POD_BRIDGE} {ANSWER} -j ACCEPT"),
        (chain("FORWARD"), f"-o {POD_BRIDGE} -j REJECT"),
        (chain("BUILD-FORWARD"), f"-d {POD_NETWORK} -j REJECT"),
        (chain("BUILD-FORWARD"), f"-d {SERVICE_NETWORK} -j REJECT"),
        (chain("BUILD-FORWARD"), f"-o {BUILD_BRIDGE} -j REJECT"),
        (chain("BUILD-FORWARD"), "-p udp --dport 53 -j ACCEPT"),
        (chain("BUILD-FORWARD"), "-p tcp --dport 53 -j ACCEPT"),
        (chain("BUILD-FORWARD"), "-d 169.254.0.0/16 -j REJECT"),  # a cloud's metadata: it hands out credentials
        (chain("BUILD-FORWARD"), "-j ACCEPT"),
    ]


def restore_script(tables: dict[str, list[Rule]], saved: str) -> str:
    """Input for `iptables-restore --noflush`: our chains filled anew at one stroke, and missing jumps to them put first."""
    jumping = {jump_target(line) for line in saved.splitlines() if line.startswith("-A ") and line.split()[1] in BUILTIN}
    lines: list[str] = []
    for table, table_rules in tables.items():
        chains = list(dict.fromkeys(name for name, _ in table_rules))
        lines.append(f"*{table}")
        lines += [f":{name} - [0:0]" for name in chains]
        lines += [f"-A {name} {words} {COMMENT}" for name, words in table_rules]
        entries = [name for name in chains if name.removeprefix(CHAIN_PREFIX) in BUILTIN and name not in jumping]
        lines += [f"-I {name.removeprefix(CHAIN_PREFIX)} 1 -j {name} {COMMENT}" for name in entries]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def chains_in(saved: str) -> set[str]:
    """The chains in the output of iptables-save that are no built-in ones, as table/chain."""
    found: set[str] = set()
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":") and (name := line[1:].split()[0]) not in BUILTIN:
            found.add(f"{table}/{name}")
    return found


def removal_script(saved: str, doomed: Iterable[str]) -> str:
    """Takes the doomed chains (table/chain), and each rule that jumps to one of them, out of the saved rules."""
    wanted = set(doomed)
    lines: list[str] = []
    for part in re.split(r"^(?=\*)", saved, flags=re.MULTILINE):
        if not part.startswith("*"):
            continue
        table = part[1:].split("\n", 1)[0].strip()
        names = sorted(name for entry in wanted for owner, _, name in [entry.partition("/")] if owner == table)
        if not names:
            continue
        jumps = [line for line in part.splitlines() if line.startswith("-A ") and jump_target(line) in names]
        kept = [line for line in jumps if line.split()[1] not in names]
        lines.append(f"*{table}")
        lines += [f"-D {line.removeprefix('-A ')}" for line in kept]
        lines += [f"-F {name}" for name in names]
        lines += [f"-X {name}" for name in names]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n" if lines else ""


def jump_target(line: str) -> str:
    found = re.search(r"\s-[jg] (\S+)", line)
    return found.group(1) if found else ""


def saved_rules(tool: str) -> str:
    return run([f"{tool}-save"])


def remove(tool: str, doomed: Iterable[str]) -> None:
    if script := removal_script(saved_rules(tool), doomed):
        run([f"{tool}-restore", "-w", "--noflush"], text=script)


def install() -> None:
    """Puts our rules in. Safe to repeat: a running build is never without them."""
    run(["iptables-restore", "-w", "--noflush"], text=restore_script(rules(), saved_rules("iptables")))


def uninstall(found: dict[str, list[str]]) -> None:
    """Removes our chains and Kubernetes' own, those apart that were `found` (by tool) before `up`."""
    for tool in TOOLS:
        chains = chains_in(saved_rules(tool))
        ours = {entry for entry in chains if entry.partition("/")[2].startswith((CHAIN_PREFIX, "KUBE-"))}
        remove(tool, ours - set(found.get(tool, [])))


def drop_empty_tables(found: dict[str, list[str]]) -> None:
    """Deletes tables that were not there before and hold nothing now. Only nftables can; the old tables stay, empty."""
    for tool, family in zip(TOOLS, ("ip", "ip6"), strict=True):
        for table in sorted(set(tables_of(tool)) - set(found.get(tool, []))):
            if not any(line.startswith("-A") for line in saved_rules_of(tool, table).splitlines()):
                subprocess.run(["nft", "delete", "table", family, table], capture_output=True, check=False)


def tables_of(tool: str) -> list[str]:
    return re.findall(r"^\*(\S+)", saved_rules(tool), flags=re.MULTILINE)


def saved_rules_of(tool: str, table: str) -> str:
    return run([f"{tool}-save", "-t", table])


def check() -> None:
    """The kernel can do what the rules need. Asked before anything is changed."""
    for table in rules():
        try:
            run(["iptables", "-w", "-t", table, "-S"])
        except Failure as error:
            raise Failure(f"the kernel has no iptables table '{table}': {error}") from error
