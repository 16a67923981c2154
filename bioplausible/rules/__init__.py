"""Learning rules: one paper, one file. The import path in a config is the registry."""
