"""Behind docs/studies/script-aware.md: what script-aware corruption buys on Hindi, Hinglish and mixed text."""
