"""From texts to an index, and from an index to a changed one: nobody ever sees half of either."""
