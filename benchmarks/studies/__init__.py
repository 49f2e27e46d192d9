"""What answers a question of a page in docs/, a folder a page, with what draws its pictures."""
