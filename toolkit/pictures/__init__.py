"""Pictures: opened safely, recoloured, laid out in a sheet, saved with their recipe."""
