"""Behind few-steps.md, calibration.md, verifier.md, distillation.md and tune.md of docs/studies: what few steps buy."""
