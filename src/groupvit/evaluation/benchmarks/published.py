"""Published benchmarks: names, classes, and expected files.

VOC (Everingham et al. 2010), Pascal Context (Mottaghi et al. 2014), COCO (Lin et al. 2014),
COCO-Stuff (Caesar et al. 2018), Cityscapes (Cordts et al. 2016), ADE20K (Zhou et al. 2017).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks import layouts
from groupvit.evaluation.benchmarks.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Benchmark to download."""

    key: str
    """Name on the command line of `groupvit evaluate`."""
    title: str
    """Name in papers."""
    classes: str
    """Stem of the packaged list of class names."""
    has_background: bool
    """Pixels of the background count, as class 0."""
    expected: str
    """Expected files, below the root."""
    source: str
    """Where to download it."""
    find: Callable[[Path], layouts.Found]
    """Function that lists the files below a root."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, without the background."""
        packaged = files("groupvit").joinpath(f"evaluation/benchmarks/classes/{self.classes}.txt")
        return tuple(packaged.read_text("utf-8").splitlines())

    def open(self, root: Path) -> Files:
        """List the files below a root.

        Raises:
            InputError: Files are missing; the message names their place and where to download
                them.
        """
        try:
            pairs, values, read = self.find(root)
        except InputError as error:
            raise InputError(
                f"{error}; {self.title} is expected as {root}/{self.expected} and comes from "
                f"{self.source}; name another folder with --root"
            ) from None
        return Files(
            key=self.key,
            name=self.title,
            labels=self.labels,
            has_background=self.has_background,
            pairs=pairs,
            values=values,
            listed=f"the list of {self.title}",
            read=read,
        )


_VOC = f"{layouts.VOC}/{{JPEGImages, SegmentationClass, ImageSets/Segmentation/val.txt}}"
_CONTEXT = (
    f"{layouts.CONTEXT}/{{JPEGImages, trainval_merged.json}} (or SegmentationClassContext and "
    "ImageSets/SegmentationContext/val.txt)"
)
_COCO = f"{layouts.COCO}/{{images/val2017, annotations/val2017}}"
_VOC_SITE = "host.robots.ox.ac.uk/pascal/VOC"
_CONTEXT_SITE = "cs.stanford.edu/~roozbeh/pascal-context and " + _VOC_SITE
_COCO_SITE = "cocodataset.org and github.com/nightrome/cocostuff (stuffthingmaps)"

_VOC_2012 = Published(
    key="voc",
    title="PASCAL VOC 2012 val",
    classes="voc",
    has_background=True,
    expected=_VOC,
    source=_VOC_SITE,
    find=layouts.voc,
)
_PASCAL_CONTEXT = Published(
    key="context",
    title="Pascal Context val",
    classes="pascal_context",
    has_background=True,
    expected=_CONTEXT,
    source=_CONTEXT_SITE,
    find=layouts.context,
)


PUBLISHED = {
    one.key: one
    for one in (
        _VOC_2012,
        replace(
            _VOC_2012,
            key="voc20",
            title=f"{_VOC_2012.title} without background",
            has_background=False,
            find=layouts.voc20,
        ),
        _PASCAL_CONTEXT,
        replace(
            _PASCAL_CONTEXT,
            key="context59",
            title=f"{_PASCAL_CONTEXT.title} without background",
            has_background=False,
            find=layouts.context59,
        ),
        Published(
            key="coco-object",
            title="COCO-Object val2017",
            classes="coco_object",
            has_background=True,
            expected=_COCO,
            source=_COCO_SITE,
            find=layouts.coco_object,
        ),
        Published(
            key="coco-stuff",
            title="COCO-Stuff 171 val2017",
            classes="coco_stuff",
            has_background=False,
            expected=_COCO,
            source=_COCO_SITE,
            find=layouts.coco_stuff,
        ),
        Published(
            key="cityscapes",
            title="Cityscapes val",
            classes="cityscapes",
            has_background=False,
            expected=f"{layouts.CITYSCAPES}/{{leftImg8bit, gtFine}}/val",
            source="cityscapes-dataset.com",
            find=layouts.cityscapes,
        ),
        Published(
            key="ade20k",
            title="ADE20K val",
            classes="ade20k",
            has_background=False,
            expected=f"{layouts.ADE20K}/{{images, annotations}}/validation",
            source="groups.csail.mit.edu/vision/datasets/ADE20K",
            find=layouts.ade20k,
        ),
    )
}
"""All published benchmarks by key."""
