"""plasticode: text from fMRI, and learning rules held against brains."""

__version__ = "0.1.0"
