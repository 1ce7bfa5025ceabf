"""Small benchmarks on disk."""

from pathlib import Path

from PIL import Image

from groupvit.storybook.scene import CLASSES, scene

SIZE = 24


def write_folder(path: Path, *, num: int) -> Path:
    """Drawn images with their masks; gives the folder."""
    for name in ("images", "masks"):
        (path / name).mkdir(parents=True)
    for index in range(num):
        page = scene(index, split="test", size=SIZE)
        Image.fromarray(page.image).save(path / f"images/{index:03d}.png")
        Image.fromarray(page.mask).save(path / f"masks/{index:03d}.png")
    (path / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return path


def with_background(path: Path) -> Path:
    """Call the first class of a benchmark the background."""
    names = (path / "classes.txt").read_text().splitlines()
    (path / "classes.txt").write_text("\n".join(["background", *names[1:]]))
    return path
