"""The page that people host and share: synthesis by optimisation, shown while it happens."""

from toolkit.process import configure_threads

configure_threads()  # before PyTorch is imported: its threads read these settings once
