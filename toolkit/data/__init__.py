"""Sets of images: folders, archives, Parquet files and lists, here or elsewhere, read in parts and streamed."""
