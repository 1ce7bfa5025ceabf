"""A client that knows nothing of the API but its OpenAPI description."""

from functools import partial
from pathlib import Path

import pytest

from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.application import application
from tests.serving.running import Running

IMAGE = Path("examples/harbour.png")
VALUES = {"integer": 2, "number": 0.3}
"""Values of numbers; texts are the name of their field."""
ALTERNATIVES = ("background_threshold",)
"""Fields that go only with another value of another field, as their description states."""


@pytest.fixture(scope="module")
def server():
    running = Running(
        partial(
            application, Segmenter.load("storybook"), name="storybook", page=False, token="secret"
        )
    )
    yield running
    running.close()


class Client:
    """Requests made from a description alone."""

    def __init__(self, server):
        self.server, self.headers = server, {"Authorization": "Bearer secret"}
        self.description = server.get("/openapi.json", **self.headers).values()

    def resolved(self, schema):
        """The schema that a reference names."""
        for part in schema.get("$ref", "#").split("/")[1:]:
            schema = self.description if part == "components" else schema
            schema = schema[part]
        return schema

    def form(self, path, files, *, optional):
        """Fields of the form of a path, with a value for each by its type."""
        content = self.description["paths"][path]["post"]["requestBody"]["content"]
        schema = self.resolved(content["multipart/form-data"]["schema"])
        fields = []
        for name, field in schema["properties"].items():
            is_selected = optional and name not in ALTERNATIVES
            if name in schema.get("required", ()) or is_selected:
                fields.append((name, self.value(name, field, files)))
        return fields

    def value(self, name, schema, files):
        """A value of this schema; a file where it is binary."""
        schema = self.resolved(schema)
        schema = schema.get("anyOf", [schema])[0]
        if schema.get("format") == "binary":
            return files
        if "enum" in schema or "const" in schema:
            return schema.get("enum", [schema.get("const")])[0]
        return str(VALUES.get(schema["type"], name))

    def check(self, schema, value):
        """Check a value by its schema, as far as the types go."""
        schema = self.resolved(schema)
        kinds = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}
        kinds |= {"number": (int, float), "boolean": bool}
        if "anyOf" in schema:
            assert any(isinstance(value, kinds[one["type"]]) for one in schema["anyOf"])
            return
        assert isinstance(value, kinds[schema["type"]])
        for name in schema.get("required", ()):
            self.check(schema["properties"][name], value[name])


@pytest.fixture(scope="module")
def client(server):
    return Client(server)


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("path", ["/v1/segment", "/v1/embed"])
def test_a_form_made_from_the_description_is_answered_as_described(client, path, optional):
    if path == "/v1/embed" and not optional:
        pytest.skip("all of its fields are optional")
    image = IMAGE.read_bytes()
    fields = client.form(path, image, optional=optional)
    assert any(value == image for _, value in fields)
    reply = client.server.post(path, fields, **client.headers)
    assert reply.status == 200, reply.body[:300]
    described = client.description["paths"][path]["post"]["responses"]["200"]["content"]
    client.check(described["application/json"]["schema"], reply.values())


def test_the_token_of_the_description_is_needed(client):
    [name] = client.description["security"][0]
    assert client.description["components"]["securitySchemes"][name]["scheme"] == "bearer"
    image = IMAGE.read_bytes()
    fields = client.form("/v1/segment", image, optional=False)
    assert client.server.post("/v1/segment", fields).status == 401


def test_get_paths_without_parameters_are_answered(client):
    for path, operations in client.description["paths"].items():
        if "get" in operations:
            assert client.server.get(path, **client.headers).status == 200, path
