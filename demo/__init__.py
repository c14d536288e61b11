"""The page that people host and share: synthesis by optimisation, shown while it happens."""

import toolkit  # noqa: F401  # first, because it sets up threads before PyTorch is imported
