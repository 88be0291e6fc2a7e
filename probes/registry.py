"""Probes by name; packages add their own through the entry point group "probes.catalogue"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worldnets.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from probes.protocol import Probe

__all__ = ["REGISTRY", "names", "probe"]

REGISTRY: Registry[Callable[[], Probe]] = Registry(
    "probe",
    {
        "agency": "probes.catalogue.agency:AgencyProbe",
        "capacity": "probes.catalogue.capacity:CapacityProbe",
        "complexity": "probes.catalogue.complexity:ComplexityProbe",
        "crowding": "probes.catalogue.crowding:CrowdingProbe",
        "depth": "probes.catalogue.depth:DepthProbe",
        "derivation": "probes.catalogue.derivation:DerivationProbe",
        "early": "probes.catalogue.early:EarlyProbe",
        "fingerprint": "probes.catalogue.fingerprint:FingerprintProbe",
        "floors": "probes.catalogue.floors:FloorsProbe",
        "goodhart": "probes.catalogue.goodhart:GoodhartProbe",
        "modularity": "probes.catalogue.modularity:ModularityProbe",
        "optimizer": "probes.catalogue.optimizer:OptimizerProbe",
        "order": "probes.catalogue.order:OrderProbe",
        "path": "probes.catalogue.path:PathProbe",
        "priors": "probes.catalogue.priors:PriorsProbe",
        "purity": "probes.catalogue.purity:PurityProbe",
        "reporter": "probes.catalogue.reporter:ReporterProbe",
        "steering": "probes.catalogue.steering:SteeringProbe",
        "transmission": "probes.catalogue.transmission:TransmissionProbe",
    },
    group="probes.catalogue",
)


def names() -> list[str]:
    """Names of the probes; nothing is imported."""
    return REGISTRY.names()


def probe(name: str) -> Probe:
    """A probe with its default settings.

    Raises:
        UnknownNameError: no such probe.
    """
    return REGISTRY.get(name)()
