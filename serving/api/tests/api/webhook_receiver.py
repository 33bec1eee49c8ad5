"""Takes webhooks and verifies them with the public library of Standard Webhooks: says its port, reads lines of a secret and how
many verified messages it is not to take, and writes a line of JSON for each message."""
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

state = {"webhook": None, "refusals": 0}
lock = threading.Lock()


def say(text: str) -> None:
    print(text, flush=True)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with lock:
            try:
                event = state["webhook"].verify(body, dict(self.headers))
                verified = event["id"] == self.headers["webhook-id"]
            except WebhookVerificationError:
                event, verified = json.loads(body), False
            taken = verified and state["refusals"] == 0
            state["refusals"] -= verified and not taken
            signatures = len(self.headers["webhook-signature"].split(" "))
            say(json.dumps({"verified": verified, "id": event["id"], "type": event["type"], "signatures": signatures}))
        self.send_response(204 if taken else 503)
        self.end_headers()

    def log_message(self, *_arguments) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
say(str(server.server_port))
threading.Thread(target=server.serve_forever, daemon=True).start()
for line in sys.stdin:
    secret, refusals = line.split()
    with lock:
        state.update(webhook=Webhook(secret), refusals=int(refusals))
    say("ready")
