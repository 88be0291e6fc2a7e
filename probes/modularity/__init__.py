"""Is the module called world-model just that? Decisions, modules, their training, what is measured, and the rule."""
