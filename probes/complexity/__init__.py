"""Does a head's own complexity follow that of the world-model it sits on? Measurement and rule (theory, section 12)."""
