from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from platform import python_version

PORT = 8000


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        page = f"<h1>Hello from Python {python_version()}</h1><p>You asked for <code>{escape(self.path)}</code></p>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())


if __name__ == "__main__":
    print(f"Listening on port {PORT}")
    ThreadingHTTPServer(("", PORT), Hello).serve_forever()
