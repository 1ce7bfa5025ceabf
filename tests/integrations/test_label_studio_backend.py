import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from groupvit import Segmenter

pytest.importorskip("label_studio_ml")
pytest.importorskip("label_studio_sdk")
from label_studio_sdk.converter.brush import decode_rle

from integrations.label_studio_backend import GroupViTBackend

pytestmark = pytest.mark.slow
IMAGE = "examples/harbour.png"
CONFIG = """
<View>
  <Image name="photo" value="$image"/>
  <BrushLabels name="words" toName="photo">
    <Label value="boat"/><Label value="sea"/><Label value="sky"/>
  </BrushLabels>
</View>
"""


@pytest.fixture
def address():
    """The image, as Label Studio's own server gives it."""
    handler = partial(SimpleHTTPRequestHandler, directory=Path(IMAGE).parent)
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{Path(IMAGE).name}"
    server.shutdown()
    server.server_close()


def test_a_task_gets_a_brush_mask_for_every_label(monkeypatch, address):
    monkeypatch.setenv("GROUPVIT_MODEL", "storybook")
    backend = GroupViTBackend(label_config=CONFIG)
    [prediction] = backend.predict([{"data": {"image": address}}])
    wanted = Segmenter.load("storybook")(IMAGE, ["boat", "sea", "sky"])
    height, width = wanted.label_map.shape
    found = {one["value"]["brushlabels"][0]: one for one in prediction["result"]}
    assert set(found) == {name for name, share in wanted.shares().items() if share > 0}
    for name, one in found.items():
        assert (one["from_name"], one["to_name"]) == ("words", "photo")
        assert (one["original_height"], one["original_width"]) == (height, width)
        mask = decode_rle(one["value"]["rle"]).reshape(height, width, 4)[..., 3] > 0
        np.testing.assert_array_equal(mask, wanted.label_map == wanted.labels.index(name))
