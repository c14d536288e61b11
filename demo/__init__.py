"""The page that people host and share: synthesis by optimisation, shown while it happens."""
