"""Can the initialisation of a trained head be named from its answers to what it never saw, and what does it predict?"""
