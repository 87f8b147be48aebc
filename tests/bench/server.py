"""nginx on 127.0.0.1, for the systems that fetch by HTTP."""

import os
import random
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

CONFIG = """{user}
pid {work}/nginx.pid;
error_log {work}/nginx.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
    server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


class Server:
    """Serves a folder, between `with` and its end."""

    def __init__(self, folder, work):
        self.folder = Path(folder)
        self.work = Path(work) / "nginx"
        self.port = None

    def __enter__(self):
        self.work.mkdir()
        user = "user root;" if os.geteuid() == 0 else ""
        for port in random.sample(range(20000, 32000), 10):
            config = self.work / "nginx.conf"
            config.write_text(CONFIG.format(user=user, work=self.work, folder=self.folder, port=port))
            words = ["nginx", "-c", config, "-e", self.work / "nginx.log"]
            if subprocess.run(words, capture_output=True, check=False).returncode == 0:
                self.port = port
                self._wait()
                return self
        raise RuntimeError((self.work / "nginx.log").read_text())

    def _wait(self):
        (self.folder / "here").write_text("here")
        for _ in range(100):
            try:
                if urllib.request.urlopen(f"http://127.0.0.1:{self.port}/here", timeout=5).read() == b"here":
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("nginx does not answer")

    def address(self, path):
        return f"http://127.0.0.1:{self.port}/{path.relative_to(self.folder)}"

    def __exit__(self, *_):
        os.kill(int((self.work / "nginx.pid").read_text()), signal.SIGTERM)
