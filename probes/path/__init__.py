"""What the path probe is made of: companions, contrasts between heads, lines between their parameters, the rule."""
