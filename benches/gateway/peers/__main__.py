"""`python -m benches.gateway.peers install [NAME …]`: fetches what the harness compares llmgw with.

Everything goes below `target/bench-peers`. Without an argument `list`, it says what is there.
"""

import argparse
import sys

from benches.gateway.peers.registry import PEERS
from benches.gateway.processes import BenchError


def main() -> int:
    """Exit status 1 if a peer that was named could not be installed."""
    parser = argparse.ArgumentParser(prog="python -m benches.gateway.peers")
    parser.add_argument("verb", choices=("install", "list"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: every peer")
    options = parser.parse_args()
    if unknown := set(options.names) - {peer.name for peer in PEERS}:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    failed = False
    for peer in PEERS:
        if options.names and peer.name not in options.names:
            continue
        try:
            if options.verb == "install" and (peer.absent() or options.names):
                print(f"{peer.name}: installing", flush=True)
                peer.install()
            reason = peer.absent()
            print(f"{peer.name}: {f'absent, {reason}' if reason else peer.version()}", flush=True)
        except BenchError as error:
            failed = True
            print(f"{peer.name}: absent, {error}", flush=True)
    return 1 if failed and options.names else 0


if __name__ == "__main__":
    sys.exit(main())
