"""A package index that misbehaves: misbehaving_index.py MODE FOLDER. Prints its port; ends with its standard input."""
import http.server
import os
import sys
import threading
import time

mode, folder = sys.argv[1:]
PAGE = b"<html><body>Please log in to this network</body></html>"


class Index(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, length=None, status=200, kind="text/html"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def wheel(self, path):
        with open(os.path.join(folder, os.path.basename(path)), "rb") as file:
            body = file.read()
        if mode == "page instead of file":
            self.answer(PAGE)
        elif mode == "errors":
            self.answer(PAGE, status=500)
        elif mode == "length too short":
            self.answer(body[: len(body) // 2])
            self.close_connection = True
        elif mode in ("cut", "stalls", "trickles"):
            self.answer(body[: len(body) // 2], length=len(body), kind="application/octet-stream")
            while mode == "stalls":
                time.sleep(1)
            while mode == "trickles":
                self.wfile.write(b"x")
                time.sleep(0.2)
            self.close_connection = True
        else:
            self.answer(body, kind="application/octet-stream")

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.endswith(".whl"):
            return self.wheel(path)
        if mode == "page instead of index":
            return self.answer(PAGE)
        name = path.strip("/").split("/")[-1].replace("-", "_") + "-"
        links = "".join(f'<a href="/{f}">{f}</a>\n' for f in sorted(os.listdir(folder)) if f.startswith(name))
        self.answer(links.encode())


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
server.daemon_threads = True
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
