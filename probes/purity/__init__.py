"""Purity: how far a world-model W is the world W* itself (theory, section 3).

Three shares, 1 for W* and 0 for who knows the surface only: the structure of the observables (`truth`), information
about the true latents in W's beliefs (`readout`), effects of interventions (`interventions`); beside them the losses
by which W may have been trained (`losses`), so that runs are compared at matched proxy loss (`gap`). `model` measures
one net, `measured` is what a cell stores, `verdict` the rule.
"""
