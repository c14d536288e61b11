"""When more iterations hardly lower the objective."""

import math
from collections import deque


class EarlyStop:
    """Ends an optimisation when its least objective fell by less than ``GAIN`` over the last ``ITERATIONS``.

    ``least``: the least objectives of the latest iterations, with which an optimisation is resumed.
    """

    ITERATIONS = 50
    GAIN = 0.005

    def __init__(self, least: list[float] | None = None) -> None:
        self.least = deque(least or [], maxlen=self.ITERATIONS + 1)

    def ends(self, objective: float) -> bool:
        """Takes in an iteration's objective; whether it is time to end."""
        least = self.least[-1] if self.least else math.inf
        self.least.append(objective if objective < least else least)  # it may be no number
        return len(self.least) > self.ITERATIONS and self.least[-1] > (1 - self.GAIN) * self.least[0]
