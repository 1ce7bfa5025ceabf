"""Names of the models in the package, which cost no import of torch."""

from typing import Final

PACKAGED: Final = ("photos", "storybook")
"""Models in the package. `photos`: photographs, on a trunk that was trained with the labels of
ImageNet, learned from captions; `storybook`: drawn scenes, learned from their captions alone."""
DEFAULT: Final = "photos"
"""Model that is used where none is named."""
