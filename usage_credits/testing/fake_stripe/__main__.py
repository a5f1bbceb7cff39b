"""Serve a fake Stripe on loopback: `python -m usage_credits.testing.fake_stripe --port 12111`."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser

from usage_credits.testing.fake_stripe.server import FakeStripeServer


def main(arguments: list[str]) -> None:
    """Serve until interrupted."""
    parser = ArgumentParser(description="Serve a fake Stripe on loopback; no money moves.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12111)
    options = parser.parse_args(arguments)
    server = FakeStripeServer(host=options.host, port=options.port)
    # A shell lets what it starts in the background ignore the interrupt; it must end this one all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout.write(f'Serving. In settings: STRIPE_API_HOST = "{server.url}"\n')
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.stdout.write("Stopped.\n")


if __name__ == "__main__":
    main(sys.argv[1:])
