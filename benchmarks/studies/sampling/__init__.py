"""Behind docs/studies/equal-calls.md, long-texts.md and hole-lengths.md."""
