"""Images: opened safely, resized, coloured, streamed, laid out in a sheet, saved with their recipe."""
