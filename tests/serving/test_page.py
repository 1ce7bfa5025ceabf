"""The page, driven in a real browser as visitors do.

GROUPVIT_SCREENSHOTS names a folder for the images of it; docs/images has those of docs/serve.md.
"""

import io
import json
import os
import re
import shutil
import urllib.parse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
PATIENCE = 90_000
"""Longest wait for the page [ms], on a busy machine."""


class Counting(Segmenter):
    """Counts how often images were grouped."""

    grouped = 0

    def group(self, images):
        self.grouped += 1
        return super().group(images)


@pytest.fixture(scope="module")
def segmenter():
    return Counting.load(
        "storybook", runtime="torch", protocol=replace(OURS, refinement=Refinement())
    )


@pytest.fixture(scope="module")
def server(segmenter):
    running = Running(partial(application, segmenter, name="storybook"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def photos():
    """A server of the bundled model for photographs."""
    running = Running(
        partial(application, Segmenter.load("photos", runtime="torch"), name="photos")
    )
    yield running
    running.close()


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        pytest.skip("there is no Chromium here, in which the page would be driven")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def visit(browser, server):
    """Opens the page; in the end, nothing may have been requested of another host, or gone wrong.

    What the content security policy forbids is an error of the console.
    """
    contexts, hosts, wrong, own = [], set(), [], set()

    def open_page(at=server, *, refused=(), **options):
        def on_console(message):
            if message.type == "error" and not any(
                f"status of {one}" in message.text for one in refused
            ):
                wrong.append(message.text)

        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: hosts.add(urllib.parse.urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", on_console)
        own.add(f"127.0.0.1:{at.port}")
        page.goto(f"http://127.0.0.1:{at.port}/")
        page.locator("#examples button").last.wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert hosts - {""} == own
    assert wrong == []


@pytest.fixture
def shoot(tmp_path):
    folder = Path(os.environ.get("GROUPVIT_SCREENSHOTS", tmp_path))

    def shot(page, name):
        page.mouse.move(1, 1)
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}.png", full_page=True)
        image = Image.open(folder / f"{name}.png").convert("RGB")
        image.quantize(128).save(folder / f"{name}.png", optimize=True)
        return np.asarray(image)

    return shot


def wait_until_shown(page, view="labels"):
    """Wait for a view, and until the page computes nothing."""
    page.locator(f'#figure[data-shown="{view}"][aria-busy=false]').wait_for()


def legend(page):
    return dict(line.inner_text().split("\n")[:2] for line in page.locator("#legend li").all())


def add(page, *labels):
    for label in labels:
        page.get_by_role("combobox", name="Label").fill(label)
        page.keyboard.press("Enter")


def move(page, label, value):
    """Set a number, and wait for what comes of it."""
    with page.expect_response("**/v1/label"):
        page.get_by_label(label, exact=True).fill(str(value))
    wait_until_shown(page)


def downloaded(page, button):
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_bytes()


def test_a_visitor_uploads_labels_moves_and_takes_away(visit, segmenter):
    page = visit(**WIDE)
    page.locator("#file").set_input_files(IMAGE)
    page.get_by_text("Add labels to see where they are").wait_for()
    assert page.get_by_role("button", name="Overlay (PNG)").is_disabled()
    add(page, "boat, sea", "sky")
    page.locator("#legend").get_by_text("sea").wait_for()
    assert set(legend(page)) <= {"boat", "sea", "sky", "background"}
    passes = segmenter.grouped

    move(page, "Background threshold, number", 0.3)
    assert "background" in legend(page)
    found = np.asarray(Image.open(io.BytesIO(downloaded(page, "Labels (index PNG)"))))
    expected = segmenter(IMAGE, ["boat", "sea", "sky"], background=Background(threshold=0.3))
    np.testing.assert_array_equal(found, expected.label_map)
    assert json.loads(downloaded(page, "Masks (COCO JSON)")) == expected.to_coco()
    overlay = Image.open(io.BytesIO(downloaded(page, "Overlay (PNG)")))
    np.testing.assert_array_equal(np.asarray(overlay), np.asarray(expected.to_overlay()))

    with page.expect_response("**/v1/label"):
        page.locator("#background").uncheck()
    wait_until_shown(page)
    assert "background" not in legend(page)
    move(page, "Number of labels", 1)
    assert len(legend(page)) == 1
    with page.expect_response("**/v1/label"):
        page.get_by_role("button", name="Remove sky").click()
    assert segmenter.grouped == passes + 1  # that of `expected`


def test_a_session_that_has_ended_begins_anew(visit, segmenter):
    page = visit(refused=(404,), **WIDE)
    page.locator("#examples button").first.click()
    wait_until_shown(page)
    passes = segmenter.grouped
    page.route("**/v1/label", lambda route: route.fulfill(status=404, body="{}"), times=1)
    with page.expect_response(lambda reply: "v1/label" in reply.url and reply.ok):
        add(page, "moon")
    wait_until_shown(page)
    assert segmenter.grouped == passes  # the image is there by its digest


def test_the_slider_does_not_pile_up_requests(visit):
    page = visit(**WIDE)
    page.locator("#examples button").first.click()
    wait_until_shown(page)
    sent = []
    page.on("request", lambda request: sent.append(request) if "v1/label" in request.url else None)
    slider = page.get_by_label("Background threshold", exact=True)
    slider.focus()
    with page.expect_response("**/v1/label"):
        for _ in range(30):
            slider.press("ArrowRight")
    wait_until_shown(page)
    page.wait_for_timeout(200)
    assert 1 <= len(sent) <= 30
    last = sent[-1].post_data_json
    assert last["background_threshold"] == float(slider.input_value())


def test_unknown_words_are_marked_and_can_be_replaced(visit):
    page = visit(**WIDE)
    page.locator("#examples button").first.click()
    wait_until_shown(page)
    assert page.locator(".chip.unknown").count() == 0
    add(page, "zeppelin")
    page.locator(".chip.unknown", has_text="zeppelin").wait_for()
    unknown = page.locator("#unknown")
    assert "This model knows drawn scenes" in unknown.inner_text()
    choice = unknown.get_by_role("button").first
    nearest = choice.inner_text()
    assert choice.get_attribute("aria-label") == f"Replace zeppelin by {nearest}"
    choice.click()
    page.locator(".chip", has_text=nearest).wait_for()
    assert page.locator(".chip", has_text="zeppelin").count() == 0
    assert unknown.inner_text() == ""


def test_mistakes_in_labels_are_named_beside_them(visit):
    page = visit(refused=(422,), **WIDE)
    page.locator("#examples button").first.click()
    wait_until_shown(page)
    add(page, "background")
    page.locator("#labels-error").get_by_text(
        "'background' means pixels without a label"
    ).wait_for()
    page.get_by_role("button", name="Remove background").click()
    page.locator("#labels-error").get_by_text("background").wait_for(state="hidden")
    first = page.locator(".chip").first.inner_text().split("\n")[0].removesuffix("×")
    add(page, first.upper())
    page.locator("#labels-error").get_by_text("is in use already").wait_for()


def test_labels_are_texts_and_no_markup(visit):
    page = visit(**WIDE)
    page.locator("#examples button").first.click()
    wait_until_shown(page)
    with page.expect_response("**/v1/label"):
        add(page, '<img src=x onerror="document.title=1">')
    page.locator(".chip.unknown").wait_for()
    assert page.locator("main img[src=x]").count() == 0
    assert page.title() == "groupvit"


def test_groups_have_their_numbers_and_what_they_merged(visit):
    page = visit(**WIDE)
    page.locator("#examples button").first.click()
    wait_until_shown(page)
    for stage, most in ((1, 48), (2, 24)):
        page.get_by_label(f"Groups, stage {stage}").check()
        wait_until_shown(page, f"stage {stage}")
        assert 2 <= len(legend(page)) <= most
        assert all(re.match(r"group \d+: ", name) for name in legend(page))
    button = page.locator("#legend button").first
    button.click()
    details = page.locator("#details")
    assert re.search(r"merged from groups? \d+.* of stage 1", details.inner_text())
    with page.expect_response("**/v1/assignment"):
        page.get_by_role("button", name="Soft map").click()
    page.locator("#details [aria-pressed=true]").wait_for()
    page.get_by_label("Groups, stage 1").check()
    page.locator("#legend button").first.focus()
    page.locator("#legend button").first.press("Enter")
    assert re.search(r"(merged with|alone in).* group \d+ of stage 2", details.inner_text())
    canvas = page.locator("#canvas")
    box = canvas.bounding_box()
    canvas.hover(position={"x": 0.9 * box["width"], "y": 0.9 * box["height"]})
    assert page.locator("#tip").inner_text().startswith("group ")


def test_a_photograph_on_a_wide_screen(visit, photos, shoot):
    page = visit(photos, **WIDE)
    page.get_by_role("button", name="A cat").click()
    wait_until_shown(page)
    assert "cat" in legend(page)
    assert shoot(page, "page-wide")[5, 5].min() > 240


def test_an_unknown_word_on_a_wide_screen(visit, photos, shoot):
    page = visit(photos, **WIDE)
    page.get_by_role("button", name="A raccoon").click()
    page.locator(".chip.unknown", has_text="raccoon").wait_for()
    shoot(page, "page-unknown")


def test_dark_follows_the_visitors_system(visit, photos, shoot):
    page = visit(photos, **WIDE, color_scheme="dark")
    page.get_by_role("button", name="A cup of coffee").click()
    wait_until_shown(page)
    page.get_by_label("Groups, stage 2").check()
    wait_until_shown(page, "stage 2")
    page.locator("#legend button").first.click()
    assert shoot(page, "page-dark")[5, 5].max() < 40


def test_phones_see_the_image_whole(visit, photos, shoot):
    page = visit(photos, **PHONE)
    page.get_by_role("button", name="A cat").tap()
    wait_until_shown(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("#canvas").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    shoot(page, "page-phone")


def test_the_keyboard_is_enough(visit):
    page = visit(**WIDE)
    page.locator("#examples button").nth(3).focus()
    page.keyboard.press("Enter")
    wait_until_shown(page)
    first = page.locator("#legend button").first
    first.focus()
    page.locator("#names.faded").wait_for(state="attached")
    page.keyboard.press("Space")
    assert first.get_attribute("aria-pressed") == "true"
    page.keyboard.press("Space")
    page.get_by_role("combobox", name="Label").focus()
    page.locator("#names:not(.faded)").wait_for(state="attached")
    count = page.locator(".chip").count()
    with page.expect_response("**/v1/label"):
        page.keyboard.press("Backspace")
    assert page.locator(".chip").count() == count - 1
    assert "%" in page.locator("#canvas").get_attribute("aria-label")


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("notes.txt", "text/plain", "notes.txt is no JPEG, PNG or WebP image"),
        ("broken.png", "image/png", "not a JPEG, PNG or WebP image"),
    ],
)
def test_what_is_no_image_is_named_and_the_page_continues(visit, shoot, name, kind, sentence):
    page = visit(refused=(422,), **WIDE)
    page.locator("#file").set_input_files(
        {"name": name, "mimeType": kind, "buffer": b"nothing to see"}
    )
    page.locator("#image-error").get_by_text(sentence).wait_for()
    if name == "broken.png":
        shoot(page, "page-error")
    page.locator("#examples button").first.click()
    wait_until_shown(page)
    assert page.locator("#image-error").inner_text() == ""


def test_a_server_that_is_busy_can_be_tried_again(visit):
    page = visit(refused=(429,), **WIDE)
    busy = {"status": 429, "body": '{"detail": "32 requests are in progress"}'}
    page.route("**/v1/group", lambda route: route.fulfill(**busy), times=1)
    page.locator("#examples button").first.click()
    page.locator("#result-error").get_by_text("32 requests are in progress").wait_for()
    page.get_by_role("button", name="Try again").click()
    wait_until_shown(page)
    assert page.locator("#result-error").inner_text() == ""


def test_every_control_has_a_name(visit):
    page = visit(**WIDE)
    page.locator("#examples button").first.click()
    wait_until_shown(page)
    controls = page.locator("button:visible, input, canvas").all()
    assert len(controls) > 30
    for control in controls:
        snapshot = control.aria_snapshot()
        assert re.search(r'"[^"]+"', snapshot) or re.search(r"'.+'", snapshot), snapshot


def test_the_reference_lists_every_route(visit, server):
    page = visit(**WIDE)
    page.get_by_role("link", name="API reference").click()
    page.get_by_role("heading", name="POST /v1/label").wait_for()
    paths = server.get("/openapi.json").values()["paths"]
    assert page.locator("article").count() == len(paths)
    assert f"127.0.0.1:{server.port}/v1/group" in page.locator("main").inner_text()
