"""What the capacity probe is made of: caps on a head's complexity, the sweep, the rule."""
