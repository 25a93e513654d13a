"""`python3 hack/cluster <command>`: a real Kubernetes on this machine. See README.md beside this file."""

import argparse
import os
import sys
from pathlib import Path

if __package__ in {None, ""}:  # run as a folder: make the folder the package that its modules say they are in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    sys.dont_write_bytecode = True  # run by root from a checkout that may be another user's

from cluster import debian, prometheus
from cluster.build import PROGRAMS, build
from cluster.console import Failure, say
from cluster.control_plane import run_control_plane
from cluster.down import down
from cluster.layout import Paths, paths
from cluster.status import environment, status
from cluster.up import up


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python3 hack/cluster", description="A real Kubernetes on one Linux machine.")
    commands = root.add_subparsers(dest="command", required=True)
    bring = commands.add_parser("up", help="bring the cluster up, or mend it (needs root)")
    bring.add_argument("--without-metrics-server", action="store_true", help="no `kubectl top`, no CPU autoscaling")
    commands.add_parser("down", help="take back everything `up` made (needs root)")
    commands.add_parser("status", help="a table of the components; exit code 1 if one is down")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    commands.add_parser("env", help='print variables for a shell: eval "$(python3 hack/cluster env)"')
    commands.add_parser("packages", help="install the Debian packages that the cluster and the tests need (needs root)")
    commands.add_parser("prometheus", help="push an image of this machine's Prometheus and print its reference (needs root)")
    compile_ = commands.add_parser("build", help="compile the programs into the cache")
    compile_.add_argument("--only", action="append", default=[], choices=[program.name for program in PROGRAMS])
    plane = commands.add_parser("control-plane", help="API server without a node, for tests, in the foreground")
    plane.add_argument("--dir", type=Path, required=True, help="an empty or new folder for its files")
    plane.add_argument("--address", default="127.0.0.1", help="where the API server listens")
    return root


def execute(arguments: argparse.Namespace, where: Paths) -> int:
    match arguments.command:
        case "up":
            up(where, with_metrics_server=not arguments.without_metrics_server)
        case "down":
            down(where)
        case "status":
            return 0 if status(where) else 1
        case "kubeconfig":
            print(where.kubeconfig)
        case "env":
            print(environment(where), end="")
        case "packages":
            if missing := debian.missing_packages_of_tests():
                debian.install(missing, where.cache)
            if missing := debian.missing_test_packages():
                debian.install(missing, where.cache)
        case "prometheus":
            print(prometheus.publish(where))
        case "build":
            for name, folder in build(where.cache, arguments.only).items():
                print(f"{name} {folder}")
        case "control-plane":
            run_control_plane(where, arguments.dir, arguments.address)
    return 0


def main() -> int:
    arguments = parser().parse_args()
    try:
        return execute(arguments, paths(os.environ))
    except Failure as failure:
        say(f"error: {failure}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; run the same command again to go on, or `down` to take everything back")
        return 130


if __name__ == "__main__":
    sys.exit(main())
