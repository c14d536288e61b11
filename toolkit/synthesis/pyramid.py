"""Coarse to fine: most of the way is gone at small sizes, where little is to be computed (Gatys et al. 2017)."""

from typing import NamedTuple

from .recipe import Recipe

#: By number of levels, the share of the evaluations that each has, from the coarsest on; each is twice as large.
#: Few at small sizes, as what is gained there is soon gained: at 512 pixels, 300 evaluations on two pairs of pictures
#: ended 2.5 and 4 % lower by (0.15, 0.85) in mixed precision than by (0.4, 0.6) in float32, and sooner (measured
#: before L-BFGS knew of frequencies).
SHARES = {1: (1.0,), 2: (0.15, 0.85), 3: (0.1, 0.15, 0.75), 4: (0.05, 0.1, 0.15, 0.7)}

#: Longest side of the coarsest level. Measured with the bundled network at 512 pixels on two pairs of pictures: fifty
#: evaluations at 256 first, the work of thirteen, leave the objective after 200 where it is without them (0.0 and
#: -0.3 %); after fifty they are worth 9 and 5 %.
SMALLEST = 512


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
