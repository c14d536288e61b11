"""Images: opened safely, resized, recoloured, streamed, laid out in a sheet, saved with their recipe."""
