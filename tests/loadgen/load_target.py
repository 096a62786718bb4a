"""A target in a thread of its own, so that commands with a loop of their own can load it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Seen:
    """What a target was asked, and how it answers.

    Attributes:
        busy: set as soon as it was asked five times.
    """

    url: str = ""
    paths: list[str] = field(default_factory=list)
    wait_seconds: float = 0.0
    status: int = 200
    busy: threading.Event = field(default_factory=threading.Event)


@contextmanager
def target() -> Iterator[Seen]:
    """Serve `{"ticket": 77}` on this machine."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            seen.paths.append(self.path)
            if len(seen.paths) >= 5:
                seen.busy.set()
            time.sleep(seen.wait_seconds)
            body = json.dumps({"ticket": 77}).encode()
            self.send_response(seen.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # a stopped generator closes what is under way
                return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        seen.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield seen
        server.shutdown()
        thread.join()
