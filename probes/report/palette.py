"""Colours that mean the same in every figure and survive colour blindness, print and a dark screen.

Rungs: a sequential scale from light warm (shallow) to dark cold (deep), monotone in lightness, so that it also reads in
grey. Verdicts: the Okabe–Ito colours, always beside the word and a sign of their own.
"""

from __future__ import annotations

# Close to the perceptually uniform map "plasma", its light end darker so that lines stand out from paper; on dark
# ground its dark end would vanish, so there it ends earlier.
LIGHT = ("#e4761f", "#d1495f", "#a3238e", "#6a00a8", "#1d0689")
DARK = ("#fbd524", "#f8954a", "#e5697f", "#c060c8", "#8a68e0")

LONGEST = 12  # rungs that have colours of their own

#: verdict → (sign, colour class): what grew deep, what did not, what is on its way, what cannot be said.
VERDICTS = {
    "deepening": ("▼", "deep"),
    "deep-throughout": ("▼", "deep"),
    "deep-with-shallow": ("▼", "deep"),
    "delayed": ("▽", "coming"),
    "stagnating": ("▬", "shallow"),
    "fading": ("△", "back"),
    "regressing": ("▲", "back"),
    "nothing-deep": ("○", "open"),
    "untrained": ("○", "open"),
    "inconclusive": ("?", "open"),
}


def scale(count: int, stops: tuple[str, ...] = LIGHT) -> list[str]:
    """`count` colours from the first stop (shallow) to the last (deep), interpolated in RGB between the stops."""
    if count == 1:
        return [stops[-1]]
    colours = []
    for k in range(count):
        place = k / (count - 1) * (len(stops) - 1)
        left = min(int(place), len(stops) - 2)
        share = place - left
        ends = [[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in (stops[left], stops[left + 1])]
        mixed = [round(a + share * (b - a)) for a, b in zip(*ends, strict=True)]
        colours.append("#" + "".join(f"{part:02x}" for part in mixed))
    return colours


def rung(k: int, count: int) -> str:
    """The CSS class with the colour of rung k (from 0) of `count`; of a very long ladder, of the nearest there is."""
    if count > LONGEST:
        return f"r{LONGEST}-{round(k * (LONGEST - 1) / (count - 1))}"
    return f"r{count}-{k}"


def stylesheet() -> str:
    """The CSS classes of all rung colours, light and dark: each sets `--c`."""

    def rules(stops: tuple[str, ...]) -> str:
        lengths = range(1, LONGEST + 1)
        return " ".join(f".r{n}-{k}{{--c:{colour}}}" for n in lengths for k, colour in enumerate(scale(n, stops)))

    return f"{rules(LIGHT)}\n@media screen and (prefers-color-scheme: dark) {{ {rules(DARK)} }}\n"
