"""The page, driven in a real browser as visitors do.

GROUPVIT_SCREENSHOTS names a folder for the images of it; docs/images has those of docs/serve.md.
"""

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groupvit.photographs.bundled import PHOTOGRAPHS
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.refinement import Refinement
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.application import application
from groupvit.text.background import Background
from tests.serving.running import Running

pytestmark = pytest.mark.slow
IMAGE = "examples/harbour.png"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE = {"viewport": {"width": 1440, "height": 900}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 2,
}


class Counting(Segmenter):
    """Tells how often images were grouped."""

    grouped = 0

    def group(self, images):
        self.grouped += 1
        return super().group(images)


@pytest.fixture(scope="module")
def segmenter():
    refined = replace(OURS, refinement=Refinement())
    return Counting.load("storybook", protocol=refined)


@pytest.fixture(scope="module")
def server(segmenter):
    running = Running(partial(application, segmenter, name="storybook"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        pytest.skip("there is no Chromium here, in which the page would be driven")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def visit(browser, server):
    """Opens the page; in the end, nothing may have been asked of another host, or gone wrong."""
    contexts, hosts, wrong = [], set(), []

    def open_page(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.on("request", lambda asked: hosts.add(urllib.parse.urlsplit(asked.url).netloc))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda told: told.type == "error" and wrong.append(told.text))
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.locator(".examples button").last.wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert hosts - {""} == {f"127.0.0.1:{server.port}"}
    assert wrong == []


@pytest.fixture
def shoot(tmp_path):
    folder = Path(os.environ.get("GROUPVIT_SCREENSHOTS", tmp_path))

    def shot(page, name):
        page.mouse.move(1, 1)
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}.png", full_page=True)
        image = Image.open(folder / f"{name}.png").convert("RGB")
        image.quantize(256).save(folder / f"{name}.png", optimize=True)
        return np.asarray(image)

    return shot


def legend(page):
    return dict(
        line.inner_text().split("\n")[:2] for line in page.locator("#viewer .legend li").all()
    )


def type_labels(page, *labels):
    for label in labels:
        page.get_by_role("combobox", name="Labels").fill(label)
        page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    for label in labels:
        page.locator("#viewer").get_by_text(label).first.wait_for()


def move(page, label, value):
    """Set a slider, and wait for what comes of it."""
    before = page.locator("#viewer .legend").inner_text()
    field = page.get_by_label(f"number input for {label}")
    field.fill(str(value))
    field.press("Enter")
    page.wait_for_function(
        "before => document.querySelector('#viewer .legend').innerText !== before", arg=before
    )


def downloaded(page, button):
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_bytes()


def test_a_visitor_uploads_asks_moves_and_takes_away(visit, segmenter):
    page = visit(**WIDE)
    page.locator("#picker input").set_input_files(IMAGE)
    page.locator("#viewer canvas").wait_for()
    type_labels(page, "boat", "sea", "sky")
    assert set(legend(page)) <= {"boat", "sea", "sky", "background"}
    passes = segmenter.grouped

    move(page, "Background threshold", 0.3)
    assert "background" in legend(page)
    found = np.asarray(Image.open(io.BytesIO(downloaded(page, "Labels (index PNG)"))))
    wanted = segmenter(IMAGE, ["boat", "sea", "sky"], background=Background(threshold=0.3))
    np.testing.assert_array_equal(found, wanted.label_map)
    assert json.loads(downloaded(page, "Masks (COCO JSON)")) == wanted.to_coco()
    overlay = Image.open(io.BytesIO(downloaded(page, "Overlay (PNG)")))
    np.testing.assert_array_equal(np.asarray(overlay), np.asarray(wanted.to_overlay()))

    page.get_by_label("Background: what no label fits").uncheck()
    page.wait_for_function(
        "!document.querySelector('#viewer .legend').innerText.includes('background')"
    )
    move(page, "Number of labels, the best first (20: all)", 1)
    assert len(legend(page)) == 1
    assert segmenter.grouped == passes + 1  # that of `wanted`


def test_words_that_the_model_was_not_trained_with_are_named(visit):
    page = visit(**WIDE)
    page.locator("#picker input").set_input_files(IMAGE)
    page.locator("#viewer canvas").wait_for()
    type_labels(page, "boat", "sea")
    warnings = page.locator("#viewer .warnings")
    assert warnings.inner_text() == ""
    type_labels(page, "zeppelin")
    warnings.get_by_text("zeppelin is in no caption of this model as a noun").wait_for()
    assert "this model knows drawn scenes" in warnings.inner_text()


def test_examples_have_labels_and_what_is_pointed_at_is_named(visit, shoot):
    page = visit(**WIDE)
    page.locator(".examples button").nth(len(PHOTOGRAPHS)).click()
    page.locator("#viewer .legend li").first.wait_for()
    assert {"boat", "sea"} <= set(legend(page))
    image = shoot(page, "page-wide")
    assert image[5, 5].min() > 240
    box = page.locator("#viewer canvas").bounding_box()
    page.locator("#viewer canvas").hover(
        position={"x": 0.9 * box["width"], "y": 0.9 * box["height"]}
    )
    assert page.locator("#viewer .tip").inner_text().startswith("sea, ")
    for stage, most in ((1, 48), (2, 24)):
        page.get_by_label(f"Groups, stage {stage}").check()
        page.locator("#viewer .legend li", has_text="group 1:").wait_for()
        page.wait_for_timeout(200)
        assert 2 <= len(legend(page)) <= most


def test_dark_follows_the_visitors_system(visit, shoot):
    page = visit(**WIDE, color_scheme="dark")
    page.locator(".examples button").nth(1).click()
    page.locator("#viewer .legend li").first.wait_for()
    page.get_by_label("Groups, stage 2").check()
    page.locator("#viewer .legend li", has_text="group 1:").wait_for()
    assert shoot(page, "page-dark")[5, 5].max() < 40


def test_phones_see_the_image_whole(visit, shoot):
    page = visit(**PHONE)
    page.locator(".examples button").nth(2).tap()
    page.locator("#viewer .legend li").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("#viewer canvas").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.locator("#viewer .lead").inner_text() == ""
    shoot(page, "page-phone")


def test_the_keyboard_is_enough(visit):
    page = visit(**WIDE)
    page.locator(".examples button").nth(3).focus()
    page.keyboard.press("Enter")
    page.locator("#viewer .legend button").first.wait_for()
    names = page.locator("#viewer .names")
    page.locator("#viewer .legend button").first.focus()
    page.wait_for_function("document.querySelector('#viewer .names').matches('.faded')")
    page.keyboard.press("Space")
    assert page.locator("#viewer .legend button").first.get_attribute("aria-pressed") == "true"
    page.keyboard.press("Space")
    page.get_by_role("combobox", name="Labels").focus()
    page.wait_for_function("!document.querySelector('#viewer .names').matches('.faded')")
    assert names.count() == 1
    assert "%" in page.locator("#viewer canvas").get_attribute("aria-label")


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("notes.txt", "text/plain", "notes.txt is no JPEG, PNG or WebP image"),
        ("broken.png", "image/png", "not a JPEG, PNG or WebP image"),
    ],
)
def test_what_is_no_image_is_told_and_the_page_goes_on(visit, name, kind, sentence):
    page = visit(**WIDE)
    file = {"name": name, "mimeType": kind, "buffer": b"nothing to see"}
    page.locator("#picker input").set_input_files(file)
    page.get_by_text(sentence).first.wait_for()
    page.locator(".examples button").first.click()
    page.locator("#viewer .legend li").first.wait_for()


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/hostname",
        "/gradio_api/file=http://127.0.0.1/",
        "/gradio_api/proxy=http://127.0.0.1/",
        "/gradio_api/info",
        "/gradio_api/upload",
        "/monitoring",
        "/login",
    ],
)
def test_other_doors_of_gradio_are_shut(server, path):
    assert server.get(path).status == 404
    assert server.post(path, [("files", b"x")]).status == 404


@pytest.fixture
def bait():
    """A server that notes whether it is asked for anything."""
    asked = []

    class Noting(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Noting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/bait.png", asked
    server.shutdown()
    server.server_close()


def event(server, function, data):
    """Send an event as Gradio's page does, and give what comes back."""
    asked = {"data": data, "fn_index": function, "session_hash": "x", "trigger_id": 1}
    body = json.dumps(asked).encode()
    assert server.send("/gradio_api/queue/join?", body, "application/json").status == 200
    return server.get("/gradio_api/queue/data?session_hash=x").body.decode()


def test_neither_files_nor_addresses_are_taken_from_clients(server, bait):
    address, asked = bait
    for path in (address, "/etc/hostname"):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        told = event(server, 0, [{"image": file}, None, ["sea"], False, 0, 20])
        assert "files and addresses are not taken here" in told
    told = event(server, 0, [{"image": address}, None, ["sea"], False, 0, 20])
    assert "this is no image" in told
    assert asked == []


def test_events_of_strangers_are_answered_with_a_sentence(server):
    url = "data:image/png;base64," + base64.b64encode(Path(IMAGE).read_bytes()).decode()
    told = event(server, 0, [{"image": url}, None, ["sea", "sea"], False, 0, 20])
    assert "given twice" in told
    told = event(server, 0, [{"image": url}, None, ["w" * 101], False, 0, 20])
    assert "has 101 characters" in told
    told = event(server, 0, [{"image": url[:-9]}, None, ["sea"], False, 0, 20])
    assert "no image" in told or "damaged" in told


def test_people_give_the_token_as_a_password(segmenter):
    running = Running(partial(application, segmenter, name="storybook", token="right"))
    try:
        refused = running.get("/")
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
        assert running.get("/healthz").status == 200
    finally:
        running.close()


def test_an_open_page_does_not_keep_the_program_from_ending():
    command = [sys.executable, "-m", "groupvit", "serve", "--model", "storybook", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        address = re.search(rb"http://127.0.0.1:(\d+);", program.stdout.readline())
        with socket.create_connection(("127.0.0.1", int(address[1]))) as line:
            line.sendall(b"GET /gradio_api/heartbeat/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b" 200 " in line.recv(100)
            program.send_signal(signal.SIGINT)
            _, told = program.communicate(timeout=60)
    assert b"Traceback" not in told
    assert b"timeout" not in told
