"""How well a model segments what it was never shown masks of."""
