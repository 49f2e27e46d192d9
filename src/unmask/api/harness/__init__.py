"""Our runs as a model of EleutherAI's lm-evaluation-harness (the ``lm-eval`` extra).

    python -m unmask.api.harness --model unmask --model_args run=PATH --tasks ... --include_path ...

or, from Python, ``import unmask.api.harness`` and then ``lm_eval.simple_evaluate(model="unmask", ...)``. Importing this
package registers the model; nothing else of unmask imports it. Source: Gao et al., "The Language Model Evaluation
Harness", https://github.com/EleutherAI/lm-evaluation-harness.
"""

from __future__ import annotations

import sys

from unmask.errors import Error

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    del sys.path[0]  # `python -m` puts the current folder first: whoever's files lie there, none of them is a module

try:
    import lm_eval  # noqa: F401
except ImportError as error:
    raise Error("the lm-evaluation-harness is not installed; pip install 'unmask[lm-eval]'") from error

from unmask.api.harness.model import UnmaskLM as UnmaskLM

__all__ = ["UnmaskLM"]
