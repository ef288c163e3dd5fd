"""The version of the program; the format version of specs is another (`archc.spec.read`)."""

__version__ = "0.1.0"
