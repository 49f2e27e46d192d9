"""What adapting a left-to-right run costs and buys."""
