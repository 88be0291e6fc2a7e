"""Is it an optimizer? The six separate measurements of the optimizer probe (theory, section 10)."""
