"""Principal and agent: which kind of agent failed, and which kind of optimisation it is (theory, section 13).

`decision` says in what acts are chosen, `utilities` what for, `models` what someone expects of them, `parties` who the
two are; `examined` holds one against the other, exactly; `verdict` names the class. `episode` and `kinds` tell
selection, direct optimisation and control apart. All of it takes your own objects:

    from probes.agency import Agent, Decision, NetModel, Principal, Utility, about
"""

from probes.agency.decision import Decision
from probes.agency.episode import Episode
from probes.agency.examined import Examined, Outlooks, examined
from probes.agency.kinds import measured as kind_of
from probes.agency.measured import about
from probes.agency.models import Capacity, Model, NetModel, TableModel, held_constant, strictly_smaller
from probes.agency.parties import Agent, Principal
from probes.agency.utilities import Utility, objective_distance

__all__ = [
    "Agent",
    "Capacity",
    "Decision",
    "Episode",
    "Examined",
    "Model",
    "NetModel",
    "Outlooks",
    "Principal",
    "TableModel",
    "Utility",
    "about",
    "examined",
    "held_constant",
    "kind_of",
    "objective_distance",
    "strictly_smaller",
]
