"""Features of networks compared with brain recordings by representational similarity analysis."""
