"""Over-optimization: outputs selected by a proxy under growing pressure, and what they are truly worth (section 13)."""
