"""Benchmarks: what the project promises about speed, measured where you are. See README.md in this folder."""

import sys

if sys.argv[:1] == ["-m"] and {"-h", "--help"} & set(sys.argv[1:]):  # python -m benchmarks....: told before torch loads
    from benchmarks.lib.help import told

    module = sys.orig_argv[sys.orig_argv.index("-m") + 1]
    if module.startswith("benchmarks.") and module != "benchmarks.speed":
        print(told(module))
        sys.exit()
