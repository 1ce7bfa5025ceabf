"""The program answers over HTTP, and goes on answering whatever comes."""

import contextlib
import io
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from PIL import Image

from groupvit.cli import main
from groupvit.errors import InputError
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.application import application
from groupvit.serving.limits import RequestLimits
from groupvit.serving.server import Connection
from groupvit.serving.worker import Worker
from tests.serving.running import Running, form

pytestmark = pytest.mark.slow
IMAGE = "examples/harbour.png"
LABELS = ["boat", "sea", "sky"]


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load("storybook")


@pytest.fixture(scope="module")
def image():
    with open(IMAGE, "rb") as file:  # noqa: PTH123
        return file.read()


@pytest.fixture
def serve(segmenter):
    started = []

    def start(**options):
        started.append(
            Running(partial(application, segmenter, name="storybook", page=False, **options))
        )
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def server(serve):
    return serve()


def asked(image, *labels):
    return [("image", image), *(("labels", label) for label in labels or LABELS)]


def test_pixels_are_those_of_the_segmenter(server, image, segmenter):
    wanted = segmenter(IMAGE, LABELS)
    found = server.post("/v1/segment", asked(image)).values()
    assert found["shares"] == pytest.approx(wanted.shares())
    assert found["coco"] == wanted.to_coco()
    assert (found["height"], found["width"]) == wanted.label_map.shape


@pytest.mark.parametrize("view", ["labels", "overlay", "groups"])
def test_who_accepts_images_gets_one(server, image, view, segmenter):
    reply = server.post("/v1/segment", [*asked(image), ("view", view)], Accept="image/png")
    assert reply.headers["content-type"] == "image/png"
    drawn = Image.open(io.BytesIO(reply.body))
    if view == "labels":
        wanted = segmenter(IMAGE, LABELS).label_map
        np.testing.assert_array_equal(np.asarray(drawn), wanted)


def test_a_background_takes_its_part(server, image):
    fields = [*asked(image, "boat"), ("background", "0.9")]
    assert server.post("/v1/segment", fields).values()["shares"]["background"] > 0.5


def test_words_and_images_are_embedded(server, image):
    fields = [("image", image), ("words", "boat"), ("words", "sea")]
    found = server.post("/v1/embed", fields).values()
    assert set(found["words"]) == {"boat", "sea"}
    for vector in (*found["words"].values(), found["image"]):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert server.post("/v1/embed", [("words", "sea")]).values()["image"] is None


def test_it_tells_of_its_model_and_itself(server, image):
    (model,) = server.get("/v1/models").values()
    assert model["name"] == "storybook"
    assert model["groups"] == [48, 24]
    assert server.get("/healthz").values() == {"status": "ok"}
    server.post("/v1/segment", asked(image))
    counts = server.get("/metrics").body.decode()
    assert 'groupvit_requests_total{method="POST",status="200"} 1.0' in counts
    assert "groupvit_batch_images_count 1.0" in counts
    assert "/v1/segment" in server.get("/openapi.json").values()["paths"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ([("image", b"no image"), ("labels", "sea")], "not a JPEG, PNG or WebP image"),
        ([("labels", "sea")], "image: field required"),
        ([("image", b"x"), ("session", "x"), ("labels", "sea")], "'session' is no field"),
        ([("image", "photo.jpg"), ("labels", "sea")], "image: this is no file"),
        ([("image", b"x"), ("label", "sea")], "'label' is no field of this request"),
        ([("image", b"x")], "labels: field required"),
        ([("image", b"x"), ("labels", "")], "label"),
        ([("image", b"x"), ("labels", "a"), ("labels", "a")], "given twice"),
        ([("image", b"x"), ("labels", "a" * 101)], "has 101 characters"),
        ([("image", b"x"), *[("labels", f"a{n}") for n in range(201)]], "201 labels"),
        ([("image", b"x"), ("labels", "a"), ("background", "7")], "from -1 to 1"),
        ([("image", b"x"), ("labels", "a"), ("background", "much")], "background: input"),
        ([("image", b"x"), ("labels", "a"), ("top_labels", "0")], "top_labels: input"),
        ([("image", b"x"), ("labels", "a"), ("view", "x")], "view: input"),
        (
            [("image", b"x"), ("labels", "a"), ("background_threshold", "0.1")],
            "without background=auto",
        ),
    ],
)
def test_bad_requests_are_told_in_a_sentence(server, fields, sentence):
    reply = server.post("/v1/segment", fields)
    assert reply.status == 422
    assert sentence in reply.values()["detail"]


def broken_files():
    """Images of each format cut short, with bytes turned over, and with parts doubled."""
    for kind in ("PNG", "JPEG", "WEBP"):
        file = io.BytesIO()
        Image.linear_gradient("L").convert("RGB").save(file, kind)
        whole = file.getvalue()
        generator = np.random.default_rng(0)
        for _ in range(12):
            at, end = sorted(generator.integers(1, len(whole), 2).tolist())
            yield whole[:at]
            yield whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]
            yield whole[:end] + whole[at:]
    yield b""
    yield b"GIF89a" + bytes(100)
    yield b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\x7f\xff\xff\xff" * 2 + b"\x08\x02\0\0\0" * 2


def test_broken_files_leave_it_serving(server, image):
    for file in broken_files():
        reply = server.post("/v1/segment", asked(file))
        assert reply.status in (200, 422), reply
    assert server.post("/v1/segment", asked(image)).status == 200


def test_a_image_with_too_many_pixels_is_refused_by_its_header(serve, image):
    reply = serve(limits=RequestLimits(max_pixels=1000)).post("/v1/segment", asked(image))
    assert reply.status == 422
    assert "at most 1,000 are read" in reply.values()["detail"]


def test_an_upload_is_bounded_whether_it_says_its_size_or_not(serve, image):
    server = serve(limits=RequestLimits(max_upload_bytes=5000))
    assert server.post("/v1/segment", asked(image)).status == 413
    body, kind = form(asked(image))
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    assert b" 413 " in raw(server, kind, b"Transfer-Encoding: chunked\r\n", chunk)


def raw(server, kind, headers, body):
    head = f"POST /v1/segment HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(head + headers + b"\r\n" + body)
        return line.recv(1000)


def test_a_slow_upload_is_ended_and_others_are_served_meanwhile(serve, image):
    server = serve(limits=RequestLimits(upload_seconds=0.5))
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(
            raw, server, "multipart/form-data; boundary=edge", b"Content-Length: 900\r\n", b"--ed"
        )
        assert server.post("/v1/segment", asked(image)).status == 200
        assert b" 408 " in slow.result()


def test_a_client_that_leaves_harms_nobody(server, image):
    body, kind = form(asked(image))
    for length in (len(body) // 2, len(body)):
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            head = f"POST /v1/segment HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
            line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:length])
    assert server.post("/v1/segment", asked(image)).status == 200


def test_many_at_once_are_computed_together_and_none_is_lost(serve, image):
    server = serve(limits=RequestLimits(batch_wait=0.2))
    with ThreadPoolExecutor(8) as clients:
        replies = list(clients.map(lambda _: server.post("/v1/segment", asked(image)), range(16)))
    assert [reply.status for reply in replies] == [200] * 16
    assert len({reply.body for reply in replies}) == 1
    counts = server.get("/metrics").body.decode()
    assert "groupvit_batch_images_sum 16.0" in counts
    assert "groupvit_batch_images_count 16.0" not in counts


def test_one_more_than_fits_is_told_to_come_back(serve, image):
    server = serve(limits=RequestLimits(max_requests=1, batch_wait=1.0))
    with ThreadPoolExecutor(1) as other:
        first = other.submit(server.post, "/v1/segment", asked(image))
        while b"in_progress 1.0" not in server.get("/metrics").body:
            time.sleep(0.01)
        reply = server.post("/v1/segment", asked(image))
        assert reply.status == 429
        assert reply.headers["retry-after"] == "1"
        assert first.result().status == 200


def test_what_takes_too_long_is_told(serve, image):
    reply = serve(limits=RequestLimits(answer_seconds=0.01, batch_wait=0.5)).post(
        "/v1/segment", asked(image)
    )
    assert reply.status == 429
    assert "no time was left" in reply.values()["detail"]


def test_a_token_is_asked_for(serve):
    server = serve(token="right")
    assert server.get("/v1/models").status == 401
    assert server.get("/v1/models", Authorization="Bearer wrong").status == 401
    assert server.get("/v1/models", Authorization="Bearer right").status == 200
    assert server.get("/healthz").status == 200


def test_other_names_and_other_pages_are_kept_out(serve, image):
    server = serve(hosts=frozenset({"127.0.0.1"}))
    assert server.get("/v1/models").status == 200
    assert server.get("/v1/models", Host="elsewhere.example").status == 403
    foreign = server.post("/v1/segment", asked(image), Origin="https://elsewhere.example")
    assert foreign.status == 403


def flat(value):
    return np.full((80, 80, 3), value, np.uint8)


def brightness(grouped):
    return int(grouped.image.max())


@pytest.fixture
def fragile(monkeypatch):
    """A segmenter that refuses one image, and breaks at another."""
    segmenter = Segmenter.load("storybook")
    whole = segmenter.group

    def group(images):
        values = {int(image.max()) for image in images}
        if 7 in values:
            raise InputError("this one is bad")
        if 9 in values:
            raise RuntimeError("broken")
        return whole(images)

    monkeypatch.setattr(segmenter, "group", group)
    return segmenter


def test_a_bad_neighbor_costs_nobody_the_answer(fragile):
    worker = Worker(fragile, batch_size=8, wait=0.3)
    futures = [worker.group(flat(value), brightness) for value in (1, 7, 3)]
    assert futures[0].result() == 1
    assert futures[2].result() == 3
    with pytest.raises(InputError, match="this one is bad"):
        futures[1].result()
    with pytest.raises(RuntimeError, match="broken"):
        worker.group(flat(9), brightness).result()
    assert worker.group(flat(4), brightness).result() == 4
    worker.close()


def test_what_is_queued_is_finished_before_the_end(fragile):
    worker = Worker(fragile, batch_size=1, wait=0.0)
    futures = [worker.group(flat(value), brightness) for value in (1, 2, 3)]
    worker.close()
    assert [future.result() for future in futures] == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--host", "0.0.0.0"], "GROUPVIT_TOKEN"),
        (["--port", "70000"], "0 to 65535"),
        (["--max-labels", "0"], "max_labels is 0"),
        (["--session-minutes", "0"], "session_seconds is 0"),
        (["--root-path", "groupvit"], "--root-path is 'groupvit'"),
        (["--root-path", "/"], "--root-path is '/'"),
        (["--cors-origin", "*"], "--cors-origin '*' is no origin"),
        (["--cors-origin", "https://example.org/page"], "is no origin; give scheme, host and port"),
    ],
)
def test_wrong_options_are_told(options, sentence, monkeypatch, capsys):
    monkeypatch.delenv("GROUPVIT_TOKEN", raising=False)
    assert main(["serve", "--model", "storybook", *options]) == 2
    assert sentence in capsys.readouterr().err


def test_commas_separate_labels_and_words_of_a_request(server, image):
    found = server.post("/v1/segment", asked(image, "boat,sea", '"salt, pepper"')).values()
    names = [one["name"] for one in found["coco"]["categories"]]
    assert names == ["boat", "sea", "salt, pepper"]
    assert set(server.post("/v1/embed", [("words", "boat, sea")]).values()["words"]) == {
        *("boat", "sea")
    }
    refused = server.post("/v1/segment", asked(image, ",".join(f"a{n}" for n in range(201))))
    assert (refused.status, "201 labels" in refused.body.decode()) == (422, True)


def test_words_that_the_model_was_not_trained_with_are_named(server, image):
    fields = [*asked(image, "boat", "zeppelin"), ("background_words", "dog")]
    found = server.post("/v1/segment", fields).values()["warnings"]
    assert [sentence.split(" is ")[0] for sentence in found[:2]] == ["zeppelin", "dog"]
    assert found[2].startswith("this model knows drawn scenes, 52 words such as sky, sea, grass")
    assert server.post("/v1/segment", asked(image)).values()["warnings"] == []
    embedded = server.post("/v1/embed", [("words", "zeppelin"), ("words", "sea")]).values()
    assert embedded["warnings"][0].startswith("zeppelin is in no caption of this model as a noun")
    (model,) = server.get("/v1/models").values()
    assert (model["domain"], model["num_nouns"]) == ("drawn scenes", 52)


def test_odd_headers_are_refused_and_no_fault_of_the_server(serve, image):
    server = serve(token="secret")
    headers = {"Authorization": "Bearer secret"}
    reply = server.post("/v1/segment", asked(image), Origin="[", **headers)
    assert reply.status == 403
    for value in ("Basic \xe9\xe9", "Basic ====", "Bearer \xe9", "Basic"):
        assert server.get("/v1/models", Authorization=value).status == 401


def test_health_has_a_head(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_background_may_be_automatic(server, image, segmenter):
    usual = segmenter.default_background(LABELS)
    expected = segmenter(IMAGE, LABELS, background=usual)
    reply = server.post("/v1/segment", [*asked(image), ("background", "auto")])
    assert reply.values()["shares"] == pytest.approx(expected.shares())
    assert server.post("/v1/segment", [*asked(image), ("background", "aut")]).status == 422


def test_the_description_of_the_api_names_files_and_the_token(serve):
    server = serve(token="secret")
    found = server.get("/openapi.json", Authorization="Bearer secret").values()
    schemas = found["components"]["schemas"]
    for path in ("segment", "group", "embed"):
        content = found["paths"][f"/v1/{path}"]["post"]["requestBody"]["content"]
        form = content["multipart/form-data"]["schema"]["properties"]["image"]
        encoded = content["application/json"]["schema"]["properties"]["image"]
        assert (form["type"], form["format"]) == ("string", "binary")
        assert (encoded["type"], encoded["contentEncoding"]) == ("string", "base64")
    assert "SHA-256" in schemas["GroupResponse"]["properties"]["session"]["description"]
    assert found["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert found["security"] == [{"token": []}]
    assert found["paths"]["/healthz"]["get"]["security"] == []
    assert "security" not in serve().get("/openapi.json").values()


def test_headers_that_never_end_lose_their_connection(server, monkeypatch):
    monkeypatch.setattr(Connection, "header_seconds", 0.3)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in connection.recv(4096)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Endless: ")
        start = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < start + 10:
                connection.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() < start + 5


def test_slow_uploads_leave_places_to_others(serve, image):
    server = serve(limits=RequestLimits(max_requests=2, upload_seconds=30.0))
    slow = []
    try:
        for _ in range(6):
            slow.append(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            slow[-1].sendall(
                b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
                b"Content-Type: multipart/form-data; boundary=edge\r\n\r\n--edge"
            )
        time.sleep(0.3)
        assert server.post("/v1/segment", asked(image)).status == 200
    finally:
        for one in slow:
            one.close()


def test_a_port_in_use_is_one_sentence(server, capsys):
    assert main(["serve", "--model", "storybook", "--port", str(server.port)]) == 2
    assert capsys.readouterr().err == (
        f"groupvit: port {server.port} is in use by another program; "
        "give another --port, or 0 for a free one\n"
    )


def test_words_of_expanded_labels_are_listed(server, image):
    found = server.post("/v1/segment", asked(image, "automobile", "sea")).values()
    assert found["words"] == {"automobile": ["car"]}
    assert set(found["shares"]) == {"automobile", "sea"}
