"""Coarse to fine: what is large is found at small sizes, where little is to be computed (Gatys et al. 2017)."""

from typing import NamedTuple

from .recipe import Recipe

#: By number of levels, the share of the evaluations that each has, from the coarsest on; each is twice as large. From
#: 1024 pixels on no layer sees as far as a painting's forms reach: they come from the small sizes alone. Measured with
#: the bundled network on two pairs of pictures, each in the time of forty evaluations of the full size, against few at
#: small sizes, 512 pixels at least, and no detail added in between: at 1024 pixels the objective ends 11 and 8 % lower,
#: at 2048 7 % higher and 7 % lower, and only so does The Starry Night's sky whirl. At 512 pixels two levels get as
#: soon as one where the textbook is after 300 evaluations (five pairs: 0.91, 0.95, 1.0, 1.11 and 1.15 of the work) and
#: after 500 (0.81, 0.95, 1.03, 1.29, and once not within 500). In the work of 60 and of 120 evaluations six pairs'
#: objectives end 3 % below to 4 % above one level's; but here too the sky whirls with two alone.
SHARES = {1: (1.0,), 2: (0.25, 0.75), 3: (0.4, 0.3, 0.3), 4: (0.3, 0.3, 0.25, 0.15)}

#: Longest side of the coarsest level, at least.
SMALLEST = 256


class Level(NamedTuple):
    """One size, and how many evaluations are made there."""

    size: int
    evaluations: int


def levels(recipe: Recipe) -> tuple[Level, ...]:
    """A recipe's levels, from the coarsest to its own size; fewer than it asks for where they were too small."""
    count = recipe.levels
    while count > 1 and (recipe.size >> (count - 1) < SMALLEST or recipe.evaluations < 2 * count):
        count -= 1
    budgets = [max(1, round(recipe.evaluations * share)) for share in SHARES[count]]
    budgets[-1] = recipe.evaluations - sum(budgets[:-1])
    return tuple(Level(recipe.size >> (count - 1 - n), budget) for n, budget in enumerate(budgets))
