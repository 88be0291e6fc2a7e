"""Speed and simplicity priors (theory, section 12): five programs in symbols and running, and penalties on heads."""
