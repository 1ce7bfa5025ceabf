"""Sessions over HTTP: an image is grouped once, and labeled again by its digest."""

import base64
import hashlib
import io
import json
import time
from functools import partial

import numpy as np
import pytest
from PIL import Image

from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.application import application
from groupvit.serving.limits import RequestLimits
from groupvit.text.background import Background
from tests.serving.running import Running

pytestmark = pytest.mark.slow
IMAGE = "examples/harbour.png"
LABELS = ["boat", "sea", "sky"]


class Counting(Segmenter):
    """Counts how often images were grouped."""

    grouped = 0

    def group(self, images):
        self.grouped += 1
        return super().group(images)


@pytest.fixture(scope="module")
def segmenter():
    return Counting.load("storybook", runtime="torch")


@pytest.fixture(scope="module")
def image():
    with open(IMAGE, "rb") as file:  # noqa: PTH123
        return file.read()


@pytest.fixture
def serve(segmenter):
    started = []

    def start(**options):
        options = {"page": False, **options}
        started.append(Running(partial(application, segmenter, name="storybook", **options)))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="module")
def server(segmenter):
    running = Running(partial(application, segmenter, name="storybook", page=False))
    yield running
    running.close()


def post_json(server, path, **values):
    return server.send(path, json.dumps(values).encode(), "application/json")


def opened(server, image):
    return server.post("/v1/group", [("image", image)]).values()


def test_a_session_is_the_digest_of_the_image_and_groups_it_once(serve, image, segmenter):
    server = serve()
    before = segmenter.grouped
    first = opened(server, image)
    assert first["session"] == hashlib.sha256(image).hexdigest()
    assert (first["height"], first["width"]) == (480, 640)
    assert [stage["stage"] for stage in first["stages"]] == [1, 2]
    assert opened(server, image) == first
    for labels in (["boat"], ["boat", "sea"], ["sky"]):
        reply = post_json(server, "/v1/label", session=first["session"], labels=labels)
        assert [one["name"] for one in reply.values()["labels"]] == labels
    assert segmenter.grouped == before + 1


def test_labels_of_a_session_are_those_of_the_segmenter(server, image, segmenter):
    session = opened(server, image)["session"]
    found = post_json(server, "/v1/label", session=session, labels=LABELS).values()
    expected = segmenter(IMAGE, LABELS)
    shares = {one["name"]: one["share"] for one in found["labels"]}
    assert shares == pytest.approx(expected.shares(), abs=0.01)
    assert found["group_labels"] == [list(expected.group_labels(stage)) for stage in (0, 1)]
    assert not found["has_background"]
    whole = post_json(server, "/v1/segment_session", session=session, labels=LABELS).values()
    assert whole["coco"] == expected.to_coco()


def test_a_session_stands_for_the_image_in_files(server, image, segmenter):
    session = opened(server, image)["session"]
    fields = [("session", session), *(("labels", label) for label in LABELS), ("background", "0.3")]
    reply = server.post("/v1/segment_session", fields, Accept="image/png")
    expected = segmenter(IMAGE, LABELS, background=Background(threshold=0.3))
    found = np.asarray(Image.open(io.BytesIO(reply.body)))
    np.testing.assert_array_equal(found, expected.label_map)


def test_an_automatic_background_may_have_another_threshold(server, image):
    session = opened(server, image)["session"]
    shares = []
    for threshold in (-0.5, 0.0, 0.9):
        found = post_json(
            server,
            "/v1/label",
            session=session,
            labels=["boat"],
            background="auto",
            background_threshold=threshold,
        ).values()
        assert found["has_background"]
        shares.append(found["labels"][0]["share"])
    usual = post_json(server, "/v1/label", session=session, labels=["boat"], background="auto")
    assert usual.values()["labels"][0]["share"] == shares[1]
    assert shares[0] < shares[1] < shares[2]


def test_unknown_words_have_their_nearest_known_ones(server, image, segmenter):
    session = opened(server, image)["session"]
    found = post_json(server, "/v1/label", session=session, labels=["sea", "zeppelin"]).values()
    expected = segmenter.known_words.unknown(["zeppelin"])
    assert found["unknown"] == {"zeppelin": list(expected["zeppelin"])}
    assert found["warnings"][0].startswith("zeppelin is in no caption")


def test_the_assignment_of_a_group_is_drawn(server, image, segmenter):
    session = opened(server, image)["session"]
    fields = [("session", session), ("stage", "2"), ("group", "3")]
    reply = server.post("/v1/assignment", fields)
    assert reply.headers["content-type"] == "image/png"
    [grouped] = segmenter.group([IMAGE])
    found = np.asarray(Image.open(io.BytesIO(reply.body)))
    np.testing.assert_allclose(found, 255 * grouped.soft_map(1, 3), atol=0.51)
    for stage, group, sentence in (
        ("3", "0", "no stage 3"),
        ("2", "99", "stage 2 has no group 99"),
        ("0", "0", "stage: input should be greater than or equal to 1"),
    ):
        refused = server.post(
            "/v1/assignment", [("session", session), ("stage", stage), ("group", group)]
        )
        assert (refused.status, sentence in refused.values()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/v1/label", {"labels": ["sea"]}),
        ("/v1/segment_session", {"labels": ["sea"]}),
        ("/v1/assignment", {"stage": 1, "group": 0}),
    ],
)
def test_a_session_that_does_not_exist_is_404(server, path, values):
    reply = post_json(server, path, session="0" * 64, **values)
    assert reply.status == 404
    assert "send the image again" in reply.values()["detail"]


def test_a_session_ends_by_time(serve, image):
    server = serve(limits=RequestLimits(session_seconds=0.1))
    session = opened(server, image)["session"]
    time.sleep(0.5)
    assert post_json(server, "/v1/label", session=session, labels=["sea"]).status == 404


def test_an_image_may_come_as_base64_in_json(server, image, segmenter):
    encoded = base64.b64encode(image).decode()
    found = post_json(server, "/v1/segment", image=encoded, labels=LABELS)
    assert found.values()["coco"] == segmenter(IMAGE, LABELS).to_coco()
    assert post_json(server, "/v1/group", image=encoded).values() == opened(server, image)
    embedded = post_json(server, "/v1/embed", image=encoded, words=["sea"]).values()
    assert len(embedded["image"]) == len(embedded["words"]["sea"])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff{}", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"a":' * 5000, "no JSON"),
        (b"[" * 20_000, "more than 10,000 values"),
        (b'{"image": "%%"}', "image: this is no base64"),
        (b'{"image": 7}', "image: input should be a valid bytes"),
        (b'{"image": null}', "image: input should be a valid bytes"),
        (b'{"\\ud800": 1}', "is no field of this request; known are image"),
        (b"{}", "image: field required"),
    ],
)
def test_wrong_json_is_refused_with_a_sentence(server, body, sentence):
    reply = server.send("/v1/group", body, "application/json")
    assert (reply.status, sentence in reply.values()["detail"]) == (422, True), reply


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"labels": []}, "labels is empty"),
        ({"labels": "sea"}, "labels: input should be a valid list"),
        ({"labels": [7]}, "labels: input should be a valid string"),
        ({"labels": ["a"] * 1001}, "labels: list should have at most 1000"),
        ({"labels": ["sea"], "background": float("nan")}, "from -1 to 1"),
        ({"labels": ["sea"], "background": "auto", "background_threshold": 7}, "from -1 to 1"),
        ({"labels": ["sea"], "session": "x" * 101}, "session: string should have at most"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(server, image, values, sentence):
    session = opened(server, image)["session"]
    reply = post_json(server, "/v1/label", **{"session": session, **values})
    assert (reply.status, sentence in reply.values()["detail"]) == (422, True), reply


def test_other_types_of_bodies_are_415(server):
    reply = server.send("/v1/group", b"x", "text/plain")
    assert (
        reply.status,
        "send multipart/form-data or application/json" in str(reply.values()),
    ) == (*(415, True),)


def test_json_is_bounded_like_forms(serve, image):
    server = serve(limits=RequestLimits(max_upload_bytes=5000))
    encoded = base64.b64encode(image).decode()
    assert post_json(server, "/v1/group", image=encoded).status == 413


def test_pages_of_named_origins_may_call_and_read_refusals(serve, image):
    origin = "https://example.org"
    server = serve(origins=frozenset({origin}), token="right")
    reply = server.post(
        "/v1/group", [("image", image)], Origin=origin, Authorization="Bearer right"
    )
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, origin)
    refused = server.post("/v1/group", [("image", image)], Origin=origin)
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, origin)
    other = server.post(
        "/v1/group", [("image", image)], Origin="https://other.org", Authorization="Bearer right"
    )
    assert other.status == 403
    assert "access-control-allow-origin" not in other.headers


def test_browsers_may_inquire_before_they_call(serve):
    origin = "https://example.org"
    server = serve(origins=frozenset({origin}), token="right")
    inquiry = {
        "Origin": origin,
        "Access_Control_Request_Method": "POST",
        "Access_Control_Request_Headers": "authorization,content-type",
    }
    reply = server.options("/v1/label", **inquiry)
    assert reply.status == 200
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert "authorization" in reply.headers["access-control-allow-headers"].lower()
    assert server.options("/v1/label", **inquiry | {"Origin": "https://other.org"}).status == 400
    assert serve().options("/v1/label", **inquiry).status == 403


@pytest.mark.parametrize("prefix", ["", "/models/groupvit"])
def test_a_proxy_may_strip_its_path_or_not(serve, image, prefix):
    server = serve(root_path="/models/groupvit", token="right", page=True)
    headers = {"Authorization": "Bearer right"}
    assert server.get(f"{prefix}/healthz").status == 200
    assert server.get(f"{prefix}/v1/models").status == 401
    assert server.get(f"{prefix}/v1/models", **headers).status == 200
    assert (
        server.get("/models/groupvit", **headers).headers["content-type"]
        == "text/html; charset=utf-8"
    )
    assert server.get("/models/groupvitality", **headers).status == 404
    assert server.get(f"{prefix}/", **headers).headers["content-type"].startswith("text/html")
    assert server.get(f"{prefix}/static/app.js", **headers).status == 200
    assert server.post(f"{prefix}/v1/group", [("image", image)], **headers).status == 200
    description = server.get(f"{prefix}/openapi.json", **headers).values()
    assert description["servers"] == [{"url": "/models/groupvit"}]
    metrics = server.get(f"{prefix}/metrics", **headers).body.decode()
    assert "groupvit_request_seconds_count 3.0" in metrics
