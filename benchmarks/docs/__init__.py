"""What makes the documentation's site: reference pages from the code, links that lead out of ``docs``, mathematics."""
