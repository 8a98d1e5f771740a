import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tilewire.data.download import RemoteFile, fetch
from tilewire.errors import DataError

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


class _Server(BaseHTTPRequestHandler):
    """Folders of the loopback server, each with its own way of answering."""

    def do_GET(self):
        folder = self.path.split("/")[1]
        self.server.seen.append(folder)
        status = {"gone": 404, "empty202": 202}.get(folder, 200)
        body = {"good": CONTENT, "short": CONTENT[:1000], "wrong": CONTENT[::-1], "page": b"<html>sorry</html>"}.get(
            folder, b""
        )
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if folder == "page" else "application/zip")
        self.send_header("Content-Length", str(len(CONTENT) if folder == "short" else len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        running.seen = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _file(server, *folders, md5=MD5):
    base = f"http://127.0.0.1:{server.server_address[1]}"
    return RemoteFile("a.zip", md5, "about 1 MB", tuple(f"{base}/{folder}/" for folder in folders))


def _fetch(file, folder):
    return fetch(file, folder, stand_in="mini-speech", timeout_s=5)


def test_a_good_answer_lands_under_its_name_and_is_not_fetched_twice(server, tmp_path):
    for _ in range(2):
        path = _fetch(_file(server, "good"), tmp_path / "new")
        assert path.read_bytes() == CONTENT
    assert server.seen == ["good"]
    assert [item.name for item in path.parent.iterdir()] == ["a.zip"]


def test_the_next_mirror_is_asked(server, tmp_path):
    assert _fetch(_file(server, "gone", "empty202", "good", "wrong"), tmp_path).read_bytes() == CONTENT
    assert server.seen == ["gone", "empty202", "good"]


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("short", "broke off after 1000 of"),
        ("wrong", "wrong checksum"),
        ("empty202", "answered 202"),
        ("empty", "no content"),
        ("page", "web page"),
        ("gone", "answered 404"),
    ],
)
def test_each_bad_answer_is_named_and_leaves_nothing(server, tmp_path, folder, text):
    with pytest.raises(DataError) as caught:
        _fetch(_file(server, folder), tmp_path)
    message = str(caught.value)
    for part in (text, f"/{folder}/a.zip", "about 1 MB", MD5, str(tmp_path), "mini-speech"):
        assert part in message
    assert not list(tmp_path.iterdir())


def test_a_damaged_local_file_is_replaced(server, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"damaged")
    assert _fetch(_file(server, "good"), tmp_path).read_bytes() == CONTENT


def test_a_forced_fetch_keeps_the_old_file_until_the_new_one_is_whole(server, tmp_path):
    old = _fetch(_file(server, "good"), tmp_path)
    with pytest.raises(DataError):
        fetch(_file(server, "short"), tmp_path, stand_in="mini-speech", force=True)
    assert old.read_bytes() == CONTENT
    fetch(_file(server, "good"), tmp_path, stand_in="mini-speech", force=True)
    assert server.seen == ["good", "short", "good"]


def test_only_http_is_followed_and_closed_ports_are_named(tmp_path):
    for mirror, text in (("file:///etc/", "not an http address"), ("http://127.0.0.1:9/", "refused")):
        with pytest.raises(DataError, match=text):
            _fetch(RemoteFile("hosts", MD5, "small", (mirror,)), tmp_path)
    assert not list(tmp_path.iterdir())
