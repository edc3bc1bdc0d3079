"""A client that sends features instead of photos, and a service that answers from them, on this machine.

    python examples/feature_service.py examples/portrait.jpg

Client and service talk HTTP over the loopback interface. The service gets no photo. It keeps a secret key,
and the client seals each file to it, so that nobody on the way reads even the features.
"""

from __future__ import annotations

import argparse
import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from photoguard import obfuscate
from photoguard.errors import PhotoguardError
from photoguard.formats import identities
from photoguard.methods import obfuscator

LARGEST = 1 << 20  # bytes of a request; a face takes some 13,000


def service(model: obfuscator.Model, secret: str) -> HTTPServer:
    """An HTTP server on a free port that opens feature files with its key and answers in JSON."""
    keys = identities.parse_identities(secret.encode(), str)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                length = min(int(self.headers.get("Content-Length", 0)), LARGEST)
                file = obfuscate.read(self.rfile.read(length), keys)
                status, answer = 200, json.dumps(obfuscate.answers(model, file))
            except (PhotoguardError, ValueError) as error:
                status, answer = 400, json.dumps({"error": str(error)})
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: object) -> None:
            pass

    return HTTPServer(("127.0.0.1", 0), Handler)


def ask(model: obfuscator.Model, photo: Path, url: str, recipient: str) -> list[obfuscator.Answers]:
    """The client: find the face, make its features, seal them, send them."""
    file = obfuscate.make(photo.read_bytes(), photo.name, model).file
    sealed = identities.seal(file.to_bytes(), identities.Recipients((identities.parse_recipient(recipient),)))
    with urllib.request.urlopen(urllib.request.Request(url, data=sealed)) as reply:
        answers: list[obfuscator.Answers] = json.load(reply)
        return answers


def main() -> None:
    """Start the service, ask it about every photo, stop it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, help="a model of your own")
    given = parser.parse_args()
    model = obfuscator.trained(given.weights) if given.weights else obfuscator.shipped()
    secret, recipient = identities.generate()
    server = service(model, secret)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for photo in given.photos:
        for answers in ask(model, photo, f"http://127.0.0.1:{server.server_port}", recipient):
            for task, shares in answers.items():
                name, share = obfuscator.answer(shares)
                print(f"{photo.name}: {task} {name} ({share:.0%})")
    server.shutdown()


if __name__ == "__main__":
    main()
