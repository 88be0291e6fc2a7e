"""Probes of what heads learn on a world-model, and the suites that run them.

>>> import probes
>>> import worldnets as wn
>>> probes.names()[:3]
['agency', 'capacity', 'complexity']
>>> parity = wn.load_dataset("cue_parity", bits=2, noise=1)
>>> trace = wn.train(parity, "linear", "question", seeds=4, steps=500)
>>> probes.probe("depth").run(trace).verdict.name
'stagnating'

Whole suites: `probes.run("quick", out="runs/quick").verdicts` is the same as `probes run quick --out runs/quick`.

Everything listed here is imported on first use: `import probes` itself loads no numerical library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probes.external import wrap
    from probes.finding import Finding, Verdict
    from probes.purity.gap import proxy_gap
    from probes.registry import names, probe
    from probes.results import Results, load
    from probes.runner import run
    from probes.tables import read_findings, read_verdicts

__all__ = [
    "Finding",
    "Results",
    "Verdict",
    "load",
    "names",
    "probe",
    "proxy_gap",
    "read_findings",
    "read_verdicts",
    "run",
    "wrap",
]

# The same list for the running program; a test holds the two together.
_HOME = {
    "Finding": "probes.finding",
    "Results": "probes.results",
    "Verdict": "probes.finding",
    "load": "probes.results",
    "names": "probes.registry",
    "probe": "probes.registry",
    "proxy_gap": "probes.purity.gap",
    "read_findings": "probes.tables",
    "read_verdicts": "probes.tables",
    "run": "probes.runner",
    "wrap": "probes.external",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'probes' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # asked for once only
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
