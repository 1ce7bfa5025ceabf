"""The scores of two labels by another way: pixel by pixel, with sets, from label maps and masks."""


def reference(episodes, name_tests=()):
    """The mIoU, FB-IoU and name test of (label, painted, mask) and of (painted, mask).

    Maps are lists of lists; `painted` holds True and False, `mask` numbers of classes, or 255.
    """
    places = {}
    for label, painted, mask in episodes:
        of_label = places.setdefault(label, [set(), set(), set()])
        start = len(of_label[2])
        for number, (found, truth) in enumerate(zip(flat(painted), flat(mask), strict=True)):
            if truth == 255:
                continue
            of_label[2].add((label, start + number, id(mask)))
            if found:
                of_label[0].add((label, start + number, id(mask)))
            if truth == label:
                of_label[1].add((label, start + number, id(mask)))
    ious = {}
    for label, (found, truth, _) in places.items():
        ious[label] = len(found & truth) / len(found | truth) if found | truth else None
    known = [iou for iou in ious.values() if iou is not None]
    found, truth, every = (set().union(*(one[at] for one in places.values())) for at in range(3))
    back = len((every - found) & (every - truth)), len((every - found) | (every - truth))
    front = len(found & truth), len(found | truth)
    both = [part / whole for part, whole in (front, back) if whole]
    painted = [bool(p) for p_map, mask in name_tests for p, m in both_of(p_map, mask) if m != 255]
    return (
        sum(known) / len(known),
        sum(both) / len(both),
        sum(painted) / len(painted) if painted else None,
    )


def flat(rows):
    return [value for row in rows for value in row]


def both_of(painted, mask):
    return zip(flat(painted), flat(mask), strict=True)
