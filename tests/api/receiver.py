"""Receiver of webhooks, which judges their signatures with the published library.

Prints its port, and then each delivery as a line of JSON. `POST /control` with `{"secret": …, "status": …}` sets the
secret and the status of its responses; `"delay"` is the time in seconds until it responds.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

settings = {"secret": "", "status": 204, "delay": 0}
lock = threading.Lock()


class Receiver(BaseHTTPRequestHandler):
    """Responds to deliveries with the status that was set."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Takes a delivery or a setting."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/control":
            settings.update(json.loads(body))
            self.respond(204)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            Webhook(settings["secret"]).verify(body, headers)
            verified = True
        except (WebhookVerificationError, ValueError):
            verified = False
        began, status = time.time(), settings["status"]
        time.sleep(settings["delay"])
        delivery = {
            "id": headers.get("webhook-id"),
            "signatures": headers.get("webhook-signature", "").split(" "),
            "verified": verified,
            "status": status,
            "began": began,
            "ended": time.time(),
            "body": json.loads(body),
        }
        with lock:
            print(json.dumps(delivery), flush=True)
        self.respond(status)

    def respond(self, status: int) -> None:
        """Sends a response without a body."""
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Stays silent."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
sys.stdout.flush()
server.serve_forever()
