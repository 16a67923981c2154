"""Networks trained by biologically plausible learning rules."""
