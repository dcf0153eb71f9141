"""The back end of the page beside this file, for Python 3.9 or newer: it holds the key, and issues the page's tokens.

  COUNTERSIGN_URL=http://127.0.0.1:8080 COUNTERSIGN_KEY=csk_... POSTS=ID,ID python3 server.py

PORT is 8300 unless set. ORIGIN is the address by which browsers reach the page, if that is another.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
}
METRICS = ["impressions", "engagements", "favorites", "retweets", "replies", "url_clicks"]

GATEWAY = os.environ.get("COUNTERSIGN_URL", "http://127.0.0.1:8080").rstrip("/")
KEY = os.environ.get("COUNTERSIGN_KEY")
POSTS = [post.strip() for post in os.environ.get("POSTS", "").split(",") if post.strip()]


def policy():
    parts = urlsplit(GATEWAY)
    gateway = f"{parts.scheme}://{parts.netloc}"
    return (
        f"default-src 'none'; script-src 'self' {gateway}; connect-src 'self' {gateway}; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Page(BaseHTTPRequestHandler):
    timeout = 30

    def do_GET(self):
        if self.path == "/page.json":
            settings = {"gateway": GATEWAY, "posts": POSTS}
            self.send(200, "application/json", json.dumps(settings).encode())
        elif self.path in FILES:
            name, kind = FILES[self.path]
            self.send(200, kind, (Path(__file__).parent / name).read_bytes())
        else:
            self.nothing()

    def do_POST(self):
        if self.path == "/token":
            self.issue_token()
        else:
            self.nothing()

    def issue_token(self):
        """A real back end first checks its own user's session, and which posts that user may see."""
        origin = self.server.origin
        is_own = self.headers.get("Sec-Fetch-Site") == "same-origin" and self.headers.get("Origin") == origin
        if not is_own:
            return self.refuse(403, "another_site", f"only the page at {origin}/ gets tokens")
        wanted = {
            "origins": [origin],
            "question": {
                "tweet_ids": POSTS,
                "engagement_types": METRICS,
                "windows": ["totals", "28hr", {"last": "28d"}],
            },
        }
        request = urllib.request.Request(
            f"{GATEWAY}/v1/browser-tokens",
            data=json.dumps(wanted).encode(),
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as issued:
                self.pass_on(issued)
        except urllib.error.HTTPError as refused:
            self.pass_on(refused)
        except OSError:
            self.refuse(502, "gateway_unreachable", "the back end cannot reach the gateway")

    def pass_on(self, answer):
        more = {"Retry-After": answer.headers["Retry-After"]} if "Retry-After" in answer.headers else {}
        self.send(answer.status, answer.headers.get("Content-Type", "application/json"), answer.read(), more)

    def refuse(self, status, code, detail):
        problem = {"status": status, "code": code, "detail": detail}
        self.send(status, "application/problem+json", json.dumps(problem).encode())

    def nothing(self):
        self.send(404, "text/plain", b"there is no such page\n")

    def send(self, status, kind, body, more=None):
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy(),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        self.send_response(status)
        for name, value in {**headers, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main():
    if not KEY:
        sys.exit("server.py: set COUNTERSIGN_KEY to a key that may issue browser tokens "
                 "(countersign key create NAME --browser --origins ORIGIN)")
    if not POSTS:
        sys.exit("server.py: set POSTS to the ids of posts, separated by commas")
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8300"))), Page)
    server.origin = os.environ.get("ORIGIN", f"http://127.0.0.1:{server.server_port}")
    print(f"the page is at {server.origin}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
