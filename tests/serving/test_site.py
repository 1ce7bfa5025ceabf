"""Files of the page over HTTP, without a browser."""

import base64
import gzip
import os
import re
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.application import application
from tests.serving.running import Running

pytestmark = pytest.mark.slow
STATIC = Path("src/groupvit/serving/page/static")


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load("storybook")


@pytest.fixture(scope="module")
def server(segmenter):
    running = Running(partial(application, segmenter, name="storybook"))
    yield running
    running.close()


def paths():
    pages = {"index.html": "/", "reference.html": "/reference"}
    return {pages.get(file.name, f"/static/{file.name}"): file for file in STATIC.iterdir()}


def test_every_file_has_its_type_and_the_policy(server):
    types = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg"}
    for path, file in paths().items():
        reply = server.get(path)
        assert (reply.status, reply.body) == (200, file.read_bytes())
        assert reply.headers["content-type"].startswith(types[file.suffix[1:]])
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_everything_that_files_name_is_there(server):
    for path, file in paths().items():
        base = path.rpartition("/")[0]
        for name in re.findall(r'(?:href|src)="([^"#]+)"', file.read_text("utf-8")):
            assert server.get(f"/{name.removeprefix('./')}").status == 200, (path, name)
        for name in re.findall(r"from '\./([^']+)'", file.read_text("utf-8")):
            assert server.get(f"{base}/{name}").status == 200, (path, name)


def test_examples_that_the_settings_name_are_there(server):
    found = server.get("/settings.json").values()
    assert found["model"] == "storybook"
    assert len(found["examples"]) == 12
    for example in found["examples"]:
        assert server.get(f"/{example['name']}").headers["content-type"].startswith("image/")
        assert server.get(f"/{example['thumbnail']}").headers["content-type"] == "image/webp"


def test_text_is_compressed_and_unchanged_files_are_not_sent_again(server):
    whole = server.get("/static/app.js")
    small = server.get("/static/app.js", Accept_Encoding="gzip")
    assert small.headers["content-encoding"] == "gzip"
    assert gzip.decompress(small.body) == whole.body
    again = server.get("/static/app.js", If_None_Match=whole.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert server.get("/static/app.js", If_None_Match='"other"').status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/../site.py",
        "/static/%2e%2e/site.py",
        "/static/..%2fsite.py",
        "//etc/hostname",
        "/examples/",
        "/examples/README.md",
        "/docs",
        "/index.html",
    ],
)
def test_no_other_path_leads_to_a_file(server, path):
    assert server.get(path).status == 404


def test_files_take_no_other_methods(server):
    for path in ("/", "/static/app.js", "/settings.json"):
        assert server.post(path, [("x", "y")]).status == 405


def test_people_give_the_token_as_a_password(segmenter):
    running = Running(partial(application, segmenter, name="storybook", token="right"))
    try:
        for path in ("/", "/static/app.js", "/settings.json", "/examples/cat.jpg", "/reference"):
            refused = running.get(path)
            assert refused.status == 401
            assert "Basic" in refused.headers["www-authenticate"]
        for given, status in (("anyone:right", 200), ("anyone:wrong", 401), ("right", 401)):
            basic = base64.b64encode(given.encode()).decode()
            assert running.get("/", Authorization=f"Basic {basic}").status == status
        assert running.get("/", Authorization="Basic %%%").status == 401
    finally:
        running.close()


def test_without_the_page_only_the_api_answers(segmenter):
    running = Running(partial(application, segmenter, name="storybook", page=False))
    try:
        assert running.get("/").status == 404
        assert running.get("/static/app.js").status == 404
        assert running.get("/healthz").status == 200
    finally:
        running.close()


def test_an_open_connection_does_not_keep_the_program_from_ending():
    command = [sys.executable, "-m", "groupvit", "serve", "--model", "storybook", "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    ) as program:
        address = re.search(rb"http://127.0.0.1:(\d+);", program.stdout.readline())
        with socket.create_connection(("127.0.0.1", int(address[1]))) as line:
            line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b" 200 " in line.recv(100)
            program.send_signal(signal.SIGINT)
            _, written = program.communicate(timeout=60)
    assert b"Traceback" not in written
