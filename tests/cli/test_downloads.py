"""Images at web addresses, from a server of this machine."""

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from groupvit.cli import downloads
from groupvit.cli.downloads import downloaded
from groupvit.errors import InputError
from groupvit.imaging import read
from tests import lively


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        moved = {"/moved": "/dog.png", "/file": "file:///etc/hostname"}.get(self.path)
        if moved is not None:
            self.send_response(302)
            self.send_header("Location", moved)
            self.end_headers()
        elif "dog" in self.path:
            file = io.BytesIO()
            Image.fromarray(lively.street(40, 60, 0)).save(file, "PNG")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(file.getvalue())
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def site(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_address_is_segmented_where_it_is_allowed(run, model, site, tmp_path):
    arguments = ("--labels", "dog", "sky", "--model", model, "--out", tmp_path / "o")
    code, _, complaint = run("segment", f"{site}/a%20dog.png?size=1", "--allow-url", *arguments)
    assert (code, complaint) == (0, "")
    assert (tmp_path / "o" / "a_dog.overlay.png").exists()


def test_an_address_is_refused_otherwise(run, tmp_path):
    address = "https://example.org/dog.png"
    code, _, complaint = run("segment", address, "--labels", "dog", "--out", tmp_path / "o")
    assert code == 2
    assert f"{address} is a web address; pass --allow-url to download it" in complaint


def test_files_of_one_name_are_kept_apart_and_deleted(site):
    with downloaded([f"{site}/dog.png", f"{site}/moved/dog.png", "a.png"], allow_url=True) as paths:
        names = [path.rpartition("/")[2] for path in paths]
        assert names == ["dog.png", "dog-2.png", "a.png"]
        assert read(paths[1]).shape == (40, 60, 3)
        folder = paths[0].rpartition("/")[0]
    with (
        pytest.raises(InputError, match="cannot be downloaded"),
        downloaded([f"{site}/missing"], allow_url=True),
    ):
        pass
    assert not downloads.Path(folder).exists()


def test_redirections_stay_on_the_web(site):
    with downloaded([f"{site}/moved"], allow_url=True) as [path]:
        assert read(path).shape == (40, 60, 3)
    with (
        pytest.raises(InputError, match="cannot be downloaded"),
        downloaded([f"{site}/file"], allow_url=True),
    ):
        pass


def test_large_files_are_refused(site, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST", 100)
    with (
        pytest.raises(InputError, match="more than 100 bytes"),
        downloaded([f"{site}/dog.png"], allow_url=True),
    ):
        pass
