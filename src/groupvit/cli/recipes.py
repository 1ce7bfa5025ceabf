"""`groupvit recipes`: the recipes of training."""

from rich.console import Console

from groupvit.training.recipes import RECIPES


def recipes() -> int:
    """List the recipes of training, with what they cost and reached."""
    console = Console(highlight=False)
    for name, recipe in RECIPES.items():
        console.print(f"[bold]{name}[/]  {recipe.summary}", soft_wrap=True)
        for title, lines in {"cost": recipe.cost, "reached": recipe.reached}.items():
            for head, line in zip((title, *[""] * (len(lines) - 1)), lines, strict=True):
                console.print(f"  {head:8} {line}", markup=False, soft_wrap=True)
    console.print("use one: groupvit train --recipe levels --data.shards ... --out runs/first")
    return 0
