"""Compile the Triton kernels for an H100 without one: python -m tests.kernels.compile PREFIX...

Prints each kernel's shared memory in bytes. An unforeseen exchange between threads, which one
version of Triton may add where another does not, shows there.
"""

import sys
from collections.abc import Iterator
from typing import Any

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from seq2exp.fused import triton as fused
from seq2exp.fused import triton_conv, triton_gate, triton_norm
from seq2exp.scan import triton as scan
from seq2exp.scan import triton_backward, triton_forward

TARGET = GPUTarget("cuda", 90, 32)
FLOATS = {
    "A", "bias", "carries", "D", "dA", "dBC", "dD", "dbias", "ddecay", "decay", "dgate",
    "dresidual", "dtotal", "partial", "residual", "states", "total", "weight",
}  # fmt: skip
NUMBERS = {"E", "N", "n", "units", "slots", "count", "chunks"}


def compile_kernel(kernel: Any, warps: int, half: str, **constants: Any) -> Any:
    """Compile with tensors in bf16 or float32, aligned, and sizes that 16 divides."""
    kinds: dict[str, str] = {}
    fixed: dict[tuple[int], Any] = {}
    attributes: dict[tuple[int], Any] = {}
    for index, parameter in enumerate(kernel.params):
        name = parameter.name
        if name in constants:
            kinds[name], fixed[(index,)] = "constexpr", constants[name]
        elif name == "eps":
            kinds[name] = "fp32"
        else:
            number = name in NUMBERS or "stride" in name
            kinds[name] = "i32" if number else "*fp32" if name in FLOATS else f"*{half}"
            if name not in ("slots", "chunks"):
                attributes[(index,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, kinds, fixed, attributes)
    return compile(source, target=TARGET, options={"num_warps": warps})


def kernels(half: str) -> Iterator[tuple[str, Any, int, dict[str, Any]]]:
    """(name, kernel, warps, constants) of every kernel, as it is launched at the size of use."""
    run = 8 if half == "bf16" else 4
    for leftward in (False, True):
        for gated in (False, True):
            flags = {"GATED": gated, "REVERSE": leftward, "LANES": scan.LANES, "RUN": run}
            missing = {} if gated else {"gate": None, "dgate": None}
            passes = {
                "forward": (triton_forward.forward_kernel, scan.FORWARD, {"PIECES": scan.PIECES}),
                "backward": (triton_backward.backward_kernel, scan.BACKWARD, {}),
            }
            for name, (kernel, tiles, more) in passes.items():
                blocks = {"BLOCK_E": tiles.warps * tiles.channels, "WARPS": tiles.warps, **more}
                constants = {"UNIT": 16, **flags, **blocks, **missing}
                yield f"scan {leftward=} {gated=} {name}", kernel, tiles.warps, constants
        blocks = {"ROWS": 1, "LANES": fused.CONV_LANES, "RUN": run, "UNIT": 16}
        for name in ("forward", "backward"):
            kernel = getattr(triton_conv, f"{name}_kernel")
            constants = {"W": 4, "LEFTWARD": leftward, **blocks}
            yield f"conv_silu {name} {leftward=}", kernel, fused.NUM_WARPS, constants
    tiles = fused.norm_tiles(128)
    warps = tiles.pop("num_warps")
    for name, flags in (("forward", {"ADD": True}), ("backward", {"ADD": True, "SUMMED": True})):
        kernel = getattr(triton_norm, f"{name}_kernel")
        yield f"add_rms_norm {name}", kernel, warps, {**flags, **tiles}
        kernel = getattr(triton_gate, f"{name}_kernel")
        yield f"gate_silu {name}", kernel, fused.NUM_WARPS, {"BLOCK": fused.GATE_BLOCK}


def main() -> None:
    prefixes = tuple(sys.argv[1:]) or ("",)
    for half in ("bf16", "fp32"):
        for name, kernel, warps, constants in kernels(half):
            if f"{half} {name}".startswith(prefixes):
                binary = compile_kernel(kernel, warps, half, **constants)
                print(f"{half} {name}: {binary.metadata.shared}")


if __name__ == "__main__":
    main()
