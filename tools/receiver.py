#!/usr/bin/env python3
"""A small receiver to try destinations with: prints each callback, and answers 200.

With --secret it checks the Standard Webhooks signature, and answers 401 to a wrong one. It uses the official
`standardwebhooks` library where that is installed (as in .tools/venv), else the same check by hand.
"""

import argparse
import base64
import hashlib
import hmac
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

try:
    from standardwebhooks.webhooks import Webhook
except ImportError:
    Webhook = None

TOLERANCE_S = 300


def is_signed(secret, body, headers):
    """True where one of the signatures is the body's, and the timestamp is not older than the tolerance."""
    if Webhook is not None:
        try:
            Webhook(secret).verify(body, headers)
            return True
        except Exception as error:  # the library's errors have no common class of their own
            print(f"  refused by standardwebhooks: {error}", file=sys.stderr)
            return False
    text = secret[len("whsec_"):] if secret.startswith("whsec_") else secret
    key = base64.b64decode(text + "=" * (-len(text) % 4))
    stamp = headers.get("webhook-timestamp", "0")
    signed = b".".join([headers.get("webhook-id", "").encode(), stamp.encode(), body])
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    is_fresh = stamp.isdigit() and abs(time.time() - int(stamp)) <= TOLERANCE_S
    given = headers.get("webhook-signature", "").split(" ")
    return is_fresh and any(hmac.compare_digest(expected, one) for one in given)


class Callback(BaseHTTPRequestHandler):
    """Answers every method alike."""

    protocol_version = "HTTP/1.1"
    secret = None

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, verdict = 200, ""
        if self.secret:
            good = is_signed(self.secret, body, headers)
            status, verdict = (200, "signature is good") if good else (401, "signature is WRONG")
        print(f"{self.command} {self.path}  {headers.get('webhook-id', '')}  {verdict}")
        # As it came: parsing and printing would round large numbers.
        print("  " + body.decode("utf-8", "replace"), flush=True)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        """The callback itself is the log."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9000, help="loopback port (default: 9000)")
    parser.add_argument("--secret", help="the destination's signing secret, whsec_…: check signatures with it")
    settings = parser.parse_args()
    Callback.secret = settings.secret
    server = ThreadingHTTPServer(("127.0.0.1", settings.port), Callback)
    print(f"receiving on http://127.0.0.1:{server.server_port}/", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
