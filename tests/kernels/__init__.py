"""Cases of the Triton kernels, against float64: run by benchmarks.check_kernels.

Without pytest, which a machine with a GPU may not have. On a GPU if there is one, otherwise in
Triton's interpreter.
"""
