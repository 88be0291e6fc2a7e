"""Over-optimization: outputs selected by a proxy under growing pressure, and what their true value does (theory §13)."""
