"""Does a sequence head memorise the worlds it was trained on, or derive the world of a clip? (theory, section 11)."""
