"""Tools that are found, fetched or built."""
