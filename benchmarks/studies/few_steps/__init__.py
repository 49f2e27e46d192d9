"""Behind docs/studies/few-steps.md, calibration.md, verifier.md, distillation.md and tune.md."""
