"""Values that cross the borders between parts, and their Avro form."""
