"""How much slower one is than the other, how sure that is, and whether a limit is kept."""
import math
import random

RESAMPLES = 2000


def interval(ratios, confidence):
    """The geometric mean of the rounds' ratios between the ends of its interval, by bootstrap over the rounds."""
    logs, dice = [math.log(ratio) for ratio in ratios], random.Random(len(ratios))
    means = sorted(sum(dice.choices(logs, k=len(logs))) / len(logs) for _ in range(RESAMPLES))
    outside = int(RESAMPLES * (1 - confidence) / 2)
    return tuple(math.exp(x) for x in (means[outside], sum(logs) / len(logs), means[-1 - outside]))


def verdict(ends, limit):
    """True: kept; False: not kept; None: it may be either."""
    low, _, high = ends
    if "most" in limit:
        return True if high <= limit["most"] else False if low > limit["most"] else None
    return True if low >= limit["least"] else False if high < limit["least"] else None
