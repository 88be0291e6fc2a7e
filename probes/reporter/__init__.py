"""Question heads where the human labeller is fooled: what they report, what he would say, and the line between."""
