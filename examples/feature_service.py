"""A client that sends features instead of photos, and a service that answers from them, on this machine.

    python examples/feature_service.py [PHOTO]

The service gets no photo. The client encrypts the features to it, so that nobody on the way reads even those.
"""

import json
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import photoguard

photo = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("portrait.jpg")
service = photoguard.Identity.generate()


class Service(BaseHTTPRequestHandler):
    def do_POST(self):
        sent = self.rfile.read(min(int(self.headers["Content-Length"]), 1 << 20))  # a face takes some 13,000
        try:
            status, answer = 200, photoguard.read_features(sent, service)
        except photoguard.PhotoguardError as error:
            status, answer = 400, {"error": str(error)}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


server = HTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
features = photoguard.make_features(photo, to=service.public)
with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}", features) as reply:
    for question, answers in json.load(reply)[0].items():
        print(f"{photo.name}: {question} {max(answers, key=answers.get)} ({max(answers.values()):.0%})")
