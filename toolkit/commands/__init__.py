"""What each command of the command line offers and does; no mathematics here."""
