"""The page's tabs, one in each file."""
