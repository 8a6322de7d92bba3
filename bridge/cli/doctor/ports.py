"""Whether the daemon's ports are free, and who has them if they are not."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from bridge.cli.doctor.check import Check
from bridge.osc.client import OscClient
from bridge.osc.udp_server import OscEndpoint
from bridge.protocol.types import NAMESPACE

_ANSWER_SECONDS = 1.0
_PROC = Path("/proc")  # of Linux


def check_osc_port(host: str, port: int) -> Check:
    """Without it the daemon does not start; who has it is named, where that can be found out."""
    try:
        OscEndpoint(host, port).close()
    except ValueError as error:
        if "is in use" not in str(error):
            return Check("OSC port", "fail", str(error), "give an address of this machine with --osc-host")
        return Check(
            "OSC port",
            "fail",
            f"UDP port {port} on {host} is in use by {_who_answers(host, port) or process_at(port, 'udp')}",
            "end it, or take another port, such as --osc-port 9200; 0 takes any that is free",
        )
    return Check("OSC port", "ok", f"UDP port {port} on {host} is free")


def check_oscquery_port(host: str, port: int) -> Check:
    """The daemon runs without OSCQuery too, so it is a warning."""
    if port == 0:
        return Check("OSCQuery port", "ok", "none is wanted")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port in TIME_WAIT is free
        try:
            probe.bind((host, port))
        except OSError:
            return Check(
                "OSCQuery port",
                "warn",
                f"TCP port {port} on {host} is in use by {process_at(port, 'tcp')}; there will be no OSCQuery",
                "end it, or take another port, such as --oscquery-port 9201",
            )
        except OverflowError:
            return Check("OSCQuery port", "fail", f"TCP port {port} does not exist", "give one of 1 to 65535")
    return Check("OSCQuery port", "ok", f"TCP port {port} on {host} is free")


def _who_answers(host: str, port: int) -> str:
    """A daemon says its version."""
    client = OscClient((host, port))
    try:
        client.send(f"{NAMESPACE}/version")
        deadline = time.monotonic() + _ANSWER_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            message = client.receive(left)
            if message and message.address == f"{NAMESPACE}/version.reply":
                return f"a melnet-music daemon, version {message.values[0]}"
    except (OSError, ValueError):  # what answers is no daemon
        pass
    finally:
        client.close()
    return ""


def process_at(port: int, protocol: str) -> str:
    """Name and id of the process that has the port, as far as the system tells us."""
    inodes = set()
    for table in (_PROC / "net" / protocol, _PROC / "net" / f"{protocol}6"):
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        inodes |= {row.split()[9] for row in rows if int(row.split()[1].rpartition(":")[2], 16) == port}
    wanted = {f"socket:[{inode}]" for inode in inodes if inode != "0"}
    for process in _PROC.glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in wanted for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:  # another user's, or it has ended
            continue
    return "another program"
