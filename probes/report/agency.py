"""The agency probe's part of the report: what the principal lost, and by what it would have been mended."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

PRESENTATION = PlainPresentation(
    headlines_of={"loss": "base loss", "goal": "mended by goal", "model": "mended by model"},
    titles=("Base loss", "Mended by goal", "Mended by model"),
    signs={
        "serves": ("●", "deep"),
        "super": ("▲", "shallow"),
        "sub": ("▽", "shallow"),
        "trans-by-goal": ("◇", "shallow"),
        "trans-by-model": ("◆", "shallow"),
        "shared-model-failure": ("◐", "coming"),
        "fails-its-own-goal": ("○", "coming"),
        "ambiguous": ("·", "open"),
        "inconclusive": ("?", "open"),
        "selection": ("s", "open"),
        "direct": ("d", "open"),
        "control": ("c", "open"),
    },
    question=(
        "An agent plans with what the head predicts, for an objective of its own. Where the base objective loses by "
        "it: which kind of failure is that?\nBy whose model, by whose goal? And is what it does selection, direct "
        "optimisation or control?"
    ),
    caption=(
        "Base loss: regret of its plans under the base objective, as a share of what is at stake, in the regime in "
        "which it is largest, with its {level} interval.\nMended by goal, by model: how much less it would lose with "
        "the base objective for its own, or with the principal's model for its own."
    ),
    reading=(
        "Classes go in order: fails its own goal; model failure shared with the principal; sub (a simpler model, where "
        "the principal's would have survived);\nsuper (foresight that the principal lacks, proxy gained at the base's "
        "cost); trans by goal or by model; ambiguous."
    ),
    pictures=(
        Picture(
            "What the base objective loses, and the proxy gains",
            ("base loss", "base loss, principal", "proxy gained"),
            "share of what is at stake",
            "Over training, in the regime in which the base objective loses most at the end.",
            floor=-0.5,
        ),
        Picture(
            "By what it would be mended",
            ("mended by goal", "mended by model", "mended by truth"),
            "share of what is at stake",
            "Less base loss if one thing about the agent were exchanged.",
            prefix="mended by ",
            floor=-0.5,
        ),
        Picture(
            "How far models are from the world and from each other",
            ("world from agent", "world from principal", "model distance"),
            "bits",
            "KL over all plans; model distance is the mean of both directions.",
        ),
    ),
)
