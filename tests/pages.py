"""Reads pages as a browser would, and complains of what no page of ours may have."""

import base64
import io
import re
from html.parser import HTMLParser
from itertools import pairwise

from PIL import Image

VOID = ("meta", "link", "img", "br")


class Reader(HTMLParser):
    """All tags with their attributes; complains where one is not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def check_alone(text):
    """It asks for nothing outside itself, and needs no script."""
    page = Reader(text)
    for _, attributes in page.tags:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:", "#"))
        assert not any(name.startswith("on") for name in attributes)
    assert page.all("script") == []
    for reference in ("url(", "@import", "//"):
        assert reference not in re.sub(r'src="data:[^"]*"', "", text)


def check_images(text):
    """Every image is a PNG of the size that is said, with words for those who do not see it."""
    for image in Reader(text).all("img"):
        data = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
            assert opened.size == (int(image["width"]), int(image["height"]))
        assert image["alt"]


def check_order(text):
    """Ids are unique, references have one, headings go down step by step."""
    page = Reader(text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in page.tags:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def check_readers(text):
    """It is written for phones and for the dark."""
    page = Reader(text)
    assert page.all("html") == [{"lang": "en"}]
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert "prefers-color-scheme: dark" in text


CHECKS = (check_alone, check_images, check_order, check_readers)
