"""One module per probe, all of one shape: what goes in, measurement, findings with intervals, verdict rule, organisms,
references.
"""
