"""Contact sheet: some scenes, each with a caption below."""

from PIL import Image, ImageDraw

from groupvit.storybook.scene import scene
from groupvit.visualization.fonts import font
from groupvit.visualization.lettering import INK, PAPER, wrap

COLUMNS, ROWS = 8, 5
SIDE = 160
"""Height and width of a scene on the sheet [pixels]."""
_GAP, _LINE, _NUM_LINES, _TEXT = 14, 15, 3, 12


def draw_sheet(seed: int, *, patterned: bool = False) -> Image.Image:
    """Contact sheet of the first scenes of a storybook."""
    wide, high = SIDE + _GAP, SIDE + _NUM_LINES * _LINE + _GAP + 6
    sheet = Image.new("RGB", (COLUMNS * wide + _GAP, ROWS * high + _GAP), PAPER)
    draw, typeface = ImageDraw.Draw(sheet), font(_TEXT)
    for index in range(COLUMNS * ROWS):
        row, column = divmod(index, COLUMNS)
        left, top = _GAP + column * wide, _GAP + row * high
        drawn = scene(index, seed=seed, size=SIDE, patterned=patterned)
        sheet.paste(Image.fromarray(drawn.image), (left, top))
        for number, line in enumerate(wrap(drawn.captions[0], SIDE, typeface, most=_NUM_LINES)):
            draw.text((left, top + SIDE + 5 + number * _LINE), line, fill=INK, font=typeface)
    return sheet
