"""A server of the live page, for this machine only."""

import errno
import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Event
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .live import LivePage

LOOPBACK = "127.0.0.1"
PORT = 8765
HTTP_PORT = 80
LOOK_EVERY = 0.5  # seconds
BREATHE_EVERY = 15.0  # seconds between signs of life, whose failure shows that a browser has left


class Server(ThreadingHTTPServer):
    """Serves one page on the loopback interface, to requests that use this machine's own name.

    Args:
        page: the page to serve.
        port: None for 8765, or a free port if that one is taken; 0 for any free port.

    Raises:
        OSError: if the port cannot be opened.
    """

    daemon_threads = True

    def __init__(self, page: LivePage, *, port: int | None = None) -> None:
        self.page = page
        self.closing = Event()
        wanted = PORT if port is None else port
        try:
            super().__init__((LOOPBACK, wanted), _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port is not None:
                why = "only an administrator may open it" if error.errno == errno.EACCES else error.strerror
                raise OSError(f"cannot open port {wanted}: {why}; 0 takes any free port") from error
            super().__init__((LOOPBACK, 0), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server for this machine's name, as http.server would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, int(self.server_address[1])

    def server_close(self) -> None:
        """Close the port and end the requests that wait for news."""
        self.closing.set()
        super().server_close()

    @property
    def address(self) -> str:
        """Return the address to open in a browser."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def is_for_us(self, host: str | None) -> bool:
        """Return whether a request used this machine's own name.

        A page elsewhere could point its own name at this machine, and would then read our answers as its own.
        """
        port = f":{self.server_port}"
        ours = {f"{name}{port}" for name in (LOOPBACK, "localhost")}
        if self.server_port == HTTP_PORT:  # which browsers leave out
            ours |= {LOOPBACK, "localhost"}
        return host in ours

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors, except that a browser left."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = 60  # seconds in which a browser must send its request
    server_version, sys_version = "cofire", ""

    def do_GET(self) -> None:
        try:
            asked = urlsplit(self.path)
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"{self.path!r} is no address ({error}); try {self.server.address}")
            return
        if not self.server.is_for_us(self.headers.get("Host")):
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, f"This server answers only to {self.server.address}")
        elif asked.path == "/":
            self._page()
        elif asked.path == "/changes":
            self._changes(parse_qs(asked.query).get("since", [""])[0])
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"The only page is {self.server.address}")

    def _only_get(self) -> None:
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "This server only answers GET.", Allow="GET")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _only_get

    def _page(self) -> None:
        page = self.server.page.page()
        tag = f'"{page.version}"'
        if self.headers.get("If-None-Match") == tag:
            self._head(HTTPStatus.NOT_MODIFIED, ETag=tag)
            return
        status = HTTPStatus.OK if page.shows_runs else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "text/html", page.html, ETag=tag)

    def _changes(self, since: str) -> None:
        """Send one event as soon as there is something newer than that version."""
        self._head(HTTPStatus.OK, **{"Content-Type": "text/event-stream"})
        self.wfile.write(b"retry: 1000\n\n")
        breathed = time.monotonic()
        while not self.server.page.is_newer(since):
            if self.server.closing.wait(LOOK_EVERY):
                return
            if time.monotonic() - breathed > BREATHE_EVERY:
                self.wfile.write(b":\n\n")
                breathed = time.monotonic()
        self.wfile.write(b"data: new recordings\n\n")

    def _refuse(self, status: HTTPStatus, sentence: str, **headers: str) -> None:
        self._answer(status, "text/plain", sentence + "\n", **headers)

    def _answer(self, status: HTTPStatus, kind: str, text: str, **headers: str) -> None:
        body = text.encode("utf-8", "replace")
        length = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body))}
        self._head(status, **length, **headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, **headers: str) -> None:
        self.send_response(status)
        for name, value in (_SAFE | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: a line for every request would bury what the command prints."""


# The page's own policy limits what it may do; these headers keep other pages from framing or embedding it.
_SAFE = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Connection": "close",
}
