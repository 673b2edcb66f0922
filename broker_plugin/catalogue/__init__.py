"""A local catalogue of known stars, matched by position: built once, memory-mapped, asked in batches."""
