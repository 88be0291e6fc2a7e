"""Goodhart tails: what the top of a proxy is worth under five errors, and whether the verdict is the right one.

V ~ N(0, 1), proxy U = V + X. E[V | top q of U] by quadrature beside what was measured independently with four million
draws, and beside draws made here; the exact divergence of best-of-n, with atoms and without; the forms of Gao et al.
fitted to the exact curves; and the verdict of the probe `goodhart` on each tail, also where it is given draws alone.

    python benchmarks/known_answers_g.py [--quick] [--out docs/known_answers_g.md]
"""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
from answers import arguments_of, publish, written

from probes.catalogue.goodhart import about
from probes.finding import Conclusion
from probes.goodhart.curves import FORMS
from probes.goodhart.outputs import Outputs
from probes.goodhart.pressure import best_of_n, divergence
from probes.goodhart.tails import TAILS, as_outputs, beyond, selected, threshold_of

SHARES = (1e-1, 1e-2, 1e-3, 1e-4)
#: E[V | top share], four million draws.
EXPECTED = {
    "normal": (1.24, 1.88, 2.38, 2.85),
    "uniform ±3": (1.06, 2.03, 2.79, 3.41),
    "Laplace(1)": (0.95, 1.00, 1.00, 1.05),
    "Student t3": (0.92, 0.63, 0.32, 0.14),
    "Student t2": (0.75, 0.28, 0.09, 0.05),
}
DRAWS = 4_000_000
WITHIN = 0.02
JUDGED = 1e-3  # the least share at which an entry must be within that
MOST = 7.0  # nats up to which the verdict presses
MOST_OF_DRAWS = 5.5  # and where it has draws only
FINE = 100  # slices of V from which the spread of a selected V is computed


def drawn(name: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """V and U."""
    random = np.random.default_rng(seed)
    error = {
        "normal": lambda: random.standard_normal(count),
        "uniform ±3": lambda: random.uniform(-3, 3, count),
        "Laplace(1)": lambda: random.laplace(size=count),
        "Student t3": lambda: random.standard_t(3, count),
        "Student t2": lambda: random.standard_t(2, count),
    }[name]()
    value = random.standard_normal(count)
    return value, value + error


def top(value: np.ndarray, proxy: np.ndarray, share: float) -> float:
    """Mean V of the best share of these draws."""
    kept = round(share * len(proxy))
    return float(value[np.argpartition(proxy, len(proxy) - kept)[len(proxy) - kept :]].mean())


def standard_error(name: str, share: float, draws: int = DRAWS) -> float:
    """Of the mean V of the selected of so many draws, from the exact spread of V among them."""
    tail = TAILS[name]
    threshold = threshold_of(tail, share)
    ends = np.linspace(-8, 8, FINE + 1)
    parts = np.array([beyond(tail, threshold, low, high) for low, high in itertools.pairwise(ends.tolist())])
    chance, value = parts[parts[:, 0] > 0].T
    mean = value.sum() / chance.sum()
    spread = math.sqrt(max(float((chance * (value / chance - mean) ** 2).sum() / chance.sum()), 0.0))
    return spread / math.sqrt(draws * share)


def tail_table(draws: int) -> tuple[list[str], int, int]:
    """Lines; how many judged entries are within .02, and how many are farther than draws explain."""
    lines = ["| error | " + " | ".join(f"q = {q:g}" for q in SHARES) + " |", "|---" * (len(SHARES) + 1) + "|"]
    near = wrong = 0
    for name in TAILS:
        value, proxy = drawn(name, draws, 7)
        cells = []
        for share, expected in zip(SHARES, EXPECTED[name], strict=True):
            exact, error = selected(TAILS[name], share), standard_error(name, share)
            own = top(value, proxy, share)
            off = abs(exact - expected)
            close = off <= WITHIN
            mark = "" if close else f" ~ (± {error:.3f})" if off <= 2.5 * error else " ✗"
            if share >= JUDGED:
                near += close
            wrong += off > max(WITHIN, 2.5 * error)
            cells.append(f"{exact:.4f} ({expected:.2f}; {own:.3f}){mark}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines, near, wrong


def divergence_table() -> tuple[list[str], bool]:
    """Exact divergences of best-of-n, and whether they are the known ones."""
    lines = ["| outputs | n | KL, nats | ln n − (n−1)/n |", "|---" * 4 + "|"]
    good = True
    for outputs, n, known in ((4, 64, 1.386), (4, 2, None), (100, 64, None), (100_000, 64, 3.175)):
        weight = np.full(outputs, 1 / outputs)
        exact = float(divergence(best_of_n(weight, np.arange(float(outputs)), n), weight))
        good = good and (known is None or abs(exact - known) < 2e-3)
        lines.append(f"| {outputs:,} | {n} | {exact:.4f} | {math.log(n) - (n - 1) / n:.4f} |")
    return lines, good


def verdict_table(outputs: int) -> tuple[list[str], bool]:
    """Verdicts on exact tails, and on a finite set of draws with the error of the draw."""
    head = ("error", "expected", "exact", "draws", "change over the last third, sd", *FORMS)
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    good = True
    for name, tail in TAILS.items():
        exact = about(as_outputs(tail), pressures=("best-of-n",), most=MOST)
        value, proxy = drawn(name, outputs, 11)
        given = about(Outputs.drawn(proxy, value), pressures=("best-of-n",), most=MOST_OF_DRAWS, points=13)
        good = good and exact.verdict.name == tail.expected and given.verdict.name in (tail.expected, "inconclusive")
        forms = [
            f"{_last(exact, form, 'α'):.2f}, {_last(exact, form, 'β'):.2f}; R² {_last(exact, form, 'R²'):.3f}"
            for form in FORMS
        ]
        found = exact.last("late", exact.verdict.target)
        assert found is not None
        cells = (name, tail.expected, exact.verdict.name, given.verdict.name, f"{found.value.estimate:.3f}", *forms)
        lines.append(f"| {' | '.join(cells)} |")
    return lines, good


def _last(found: Conclusion, form: str, part: str) -> float:
    one = found.last(f"{form}, {part}", found.verdict.target)
    assert one is not None
    return one.value.estimate


def main() -> None:
    parser = arguments_of(__doc__, "known_answers_g.md")
    parser.add_argument("--quick", action="store_true", help="fewer draws: whether it runs, not whether it holds")
    arguments = parser.parse_args()
    began = time.perf_counter()
    draws, outputs = (200_000, 20_000) if arguments.quick else (DRAWS, 200_000)
    first, near, wrong = tail_table(draws)
    second, exact = divergence_table()
    third, right = verdict_table(outputs)
    seconds = time.perf_counter() - began
    judged = len(TAILS) * sum(q >= JUDGED for q in SHARES)
    lines = [
        "# Goodhart tails: what the top of a proxy is worth",
        "",
        written(f"known_answers_g.py{' --quick' if arguments.quick else ''}", "numpy", "scipy", seconds=seconds),
        "",
        "V ~ N(0, 1), proxy U = V + X: E[V | top q of U] by quadrature; in brackets what was measured independently of",
        f"this project with four million draws, and what {draws:,} draws give here.",
        "",
        *first,
        "",
        f"Within .02 at q ≥ 1e-3: **{near} of {judged}**. Marked ~: farther than that from what was measured",
        "independently, and no farther than 2.5 standard errors of a mean over the selected of four million draws",
        "(beside); the quadrature has no such error, and agrees with the closed form where there is one.",
        f"Marked ✗, which draws do not explain: {wrong}.",
        "",
        "## Divergence of best-of-n",
        "",
        "Outputs equally likely, no two of one proxy:",
        "",
        *second,
        "",
        f"As known (4 outputs, n = 64: 1.386, not 3.175): **{'yes' if exact else 'no'}**.",
        "",
        "## Verdicts",
        "",
        f"Best-of-n. Exact: outputs by quadrature, up to {MOST:g} nats. Draws: {outputs:,} outputs up to",
        f"{MOST_OF_DRAWS:g} nats, with the error of the draw. Forms of Gao et al. 2023, α and β, per standard",
        "deviation of V, fitted to the exact curve:",
        "",
        *third,
        "",
        "The right one of keeps-gaining, plateaus and turns-over for all five exact tails, and of draws that one or",
        f"none (`inconclusive`): **{'yes' if right else 'no'}**.",
        "",
    ]
    text = "\n".join(lines)
    publish(text, arguments.out)
    if (wrong or not (exact and right)) and not arguments.quick:
        raise SystemExit("not all known answers were reached: see the lines above")


if __name__ == "__main__":
    main()
