"""Early warning: what the first tenth of a run says about its end (theory, section 17).

`features` are taken from the checkpoints of the first tenth; `forecaster` turns them into probabilities and keeps its
numbers in a file; `study` fits one on finished runs and scores it on worlds it has not seen.
"""
