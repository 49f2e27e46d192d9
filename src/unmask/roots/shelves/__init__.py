"""What lies on a shelf, and what is known of it without opening it."""
