# mypy: ignore-errors
# (numba infers the types, from values that mypy does not know)
"""Sixteen float32 lanes as one value inside numba functions.

Numba leaves vectorisation to LLVM's guesses; the scan is bound by arithmetic, so its
kernels name their vectors instead. LLVM splits a 16-lane vector into whatever the machine
has: one AVX-512 register, two AVX2 registers, four NEON registers.

Arrays are one-dimensional, contiguous float32; offsets and strides count elements and are
not checked against the array's end.

Numba's cache watches a kernel's own file only: after a change here, delete __pycache__/*.nb?.
"""

import operator

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import (
    intrinsic,
    lower_builtin,
    models,
    register_model,
    type_callable,
)

LANES = 16

_FLOAT = ir.FloatType()
_INT = ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INT_VECTOR = ir.VectorType(_INT, LANES)


class VectorType(types.Type):
    """Numba's name for a value of 16 float32 lanes."""

    def __init__(self) -> None:
        super().__init__(name="Float32x16")


vector_type = VectorType()


@register_model(VectorType)
class VectorModel(models.PrimitiveModel):
    """A vector is kept as one LLVM vector, in a register where one is free."""

    def __init__(self, data_model_manager, fe_type):
        super().__init__(data_model_manager, fe_type, _VECTOR)


def _constant(value, vector=_VECTOR):
    return ir.Constant(vector, [value] * LANES)


def _register_operator(function, instruction):
    @type_callable(function)
    def typer(context):
        def result(left, right):
            if isinstance(left, VectorType) and isinstance(right, VectorType):
                return vector_type
            return None

        return result

    @lower_builtin(function, VectorType, VectorType)
    def lower(context, builder, signature, args):
        return getattr(builder, instruction)(*args)


_register_operator(operator.add, "fadd")
_register_operator(operator.sub, "fsub")
_register_operator(operator.mul, "fmul")
_register_operator(operator.truediv, "fdiv")


def _address(context, builder, array_type, array, offset):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


def _is_flat(array):
    return (
        isinstance(array, types.Array)
        and array.ndim == 1
        and array.layout == "C"
        and array.dtype == types.float32
    )


@intrinsic
def load(typingctx, array, offset):
    """Lanes array[offset : offset + 16]."""
    if not _is_flat(array):
        return None

    def generate(context, builder, signature, args):
        return builder.load(_address(context, builder, array, *args), align=4)

    return vector_type(array, types.intp), generate


@intrinsic
def store(typingctx, array, offset, vector):
    """Write the lanes to array[offset : offset + 16]."""
    if not _is_flat(array) or not isinstance(vector, VectorType):
        return None

    def generate(context, builder, signature, args):
        address = _address(context, builder, array, *args[:2])
        builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def mirror(typingctx, vector):
    """The lanes in opposite order."""

    def generate(context, builder, signature, args):
        order = ir.Constant(_INT_VECTOR, list(reversed(range(LANES))))
        return builder.shuffle_vector(args[0], args[0], order)

    return vector_type(vector), generate


@intrinsic
def prefetch(typingctx, array, offset):
    """Ask for the cache line of array[offset], which need not exist."""
    if not _is_flat(array):
        return None

    def generate(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _INT, _INT, _INT])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        address = builder.bitcast(_address(context, builder, array, *args), byte)
        # for reading, into the second-level cache, data
        builder.call(function, [address, _INT(0), _INT(2), _INT(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def splat(typingctx, scalar):
    """The same number in every lane."""

    def generate(context, builder, signature, args):
        one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), args[0], _INT(0))
        return builder.shuffle_vector(one, one, _constant(0, _INT_VECTOR))

    return vector_type(types.float32), generate


@intrinsic
def fma(typingctx, factor, other, addend):
    """Return factor * other + addend, in one rounding where the machine can."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        name = f"llvm.fmuladd.v{LANES}f32"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, args)

    return vector_type(factor, other, addend), generate


@intrinsic
def select_less(typingctx, left, right, if_less, otherwise):
    """Lane by lane: if_less where left < right, else otherwise (also where a lane is NaN)."""

    def generate(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return vector_type(left, right, if_less, otherwise), generate


@intrinsic
def _add_exponent(typingctx, vector, shifted):
    """Times 2^k, k being the integer in the low mantissa bits of `shifted`."""

    def generate(context, builder, signature, args):
        bits, power = (builder.bitcast(value, _INT_VECTOR) for value in args)
        raised = builder.add(bits, builder.shl(power, _constant(23, _INT_VECTOR)))
        return builder.bitcast(raised, _VECTOR)

    return vector_type(vector, shifted), generate


def _zip(builder, left, right):
    """The lanes of two vectors, alternating: the lower halves, the upper halves."""
    half = LANES // 2
    low = [lane // 2 + LANES * (lane % 2) for lane in range(LANES)]
    masks = (ir.Constant(_INT_VECTOR, [lane + add for lane in low]) for add in (0, half))
    return [builder.shuffle_vector(left, right, mask) for mask in masks]


def _load_rows(context, builder, array_type, array, offset, stride):
    rows = []
    for row in range(LANES):
        start = builder.add(offset, builder.mul(stride, stride.type(row)))
        address = _address(context, builder, array_type, array, start)
        rows.append(builder.load(address, align=4))
    return rows


@intrinsic
def transpose(typingctx, source, offset, stride, target, target_offset, target_stride):
    """Copy a 16 x 16 tile, rows to columns; the strides lie between rows and may be negative."""
    if not (_is_flat(source) and _is_flat(target)):
        return None

    def generate(context, builder, signature, args):
        rows = _load_rows(context, builder, source, *args[:3])
        half = LANES // 2
        for _ in range(LANES.bit_length() - 1):  # four perfect shuffles transpose 16 rows
            pairs = [_zip(builder, rows[i], rows[i + half]) for i in range(half)]
            rows = [row for pair in pairs for row in pair]
        for index, row in enumerate(rows):
            start = builder.add(args[4], builder.mul(args[5], args[5].type(index)))
            builder.store(row, _address(context, builder, target, args[3], start), align=4)
        return context.get_dummy_value()

    integer = types.intp
    return types.void(source, integer, integer, target, integer, integer), generate


@intrinsic
def row_sums(typingctx, source, offset, stride):
    """Lane i = the sum of the 16 lanes of row i; the stride lies between rows."""
    if not _is_flat(source):
        return None

    def generate(context, builder, signature, args):
        rows = _load_rows(context, builder, source, *args)
        while len(rows) > 1:  # the shuffles of `transpose`, adding as soon as two rows meet
            half = len(rows) // 2
            rows = [builder.fadd(*_zip(builder, rows[i], rows[i + half])) for i in range(half)]
        return rows[0]

    return vector_type(source, types.intp, types.intp), generate


# 2^f = 1 + f q(f) on |f| <= 1/2. q is the polynomial nearest to (2^f - 1)/f, so the error
# (at most 1.5e-7) shrinks with f: a decay close to 1 lasts over thousands of steps, and its
# error with it.
_ROUND = 12582912.0  # 1.5 * 2^23: adding it leaves the nearest integer in the low mantissa bits
_SMALLEST_POWER = -126.0

LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453


@njit(forceinline=True)
def exp2(vector):
    """2^vector to 1.5e-7 relative; 2^-126 below -126; not for powers above 127."""
    lowest = splat(_SMALLEST_POWER)
    power = select_less(vector, lowest, lowest, vector)
    shifted = power + splat(_ROUND)
    rest = power - (shifted - splat(_ROUND))
    value = fma(rest, splat(0.00134004363), splat(0.009666372939))
    value = fma(rest, value, splat(0.05550333182))
    value = fma(rest, value, splat(0.2402234896))
    value = fma(rest, value, splat(0.6931471955))
    value = fma(rest, value, splat(1.0))
    return _add_exponent(value, shifted)


@njit(forceinline=True)
def softplus_and_slope(vector):
    """log(1 + exp(vector)) and its derivative, each to 2e-7 relative."""
    zero = splat(0.0)
    one = splat(1.0)
    positive = select_less(zero, vector, vector, zero)
    magnitude = select_less(zero, vector, vector, zero - vector)
    decay = exp2(magnitude * splat(-LOG2_E))
    # log1p(decay) / decay on [0, 1], minimax
    value = fma(decay, splat(0.005232690027), splat(-0.02950521992))
    value = fma(decay, value, splat(0.07822591751))
    value = fma(decay, value, splat(-0.136632425))
    value = fma(decay, value, splat(0.1910600499))
    value = fma(decay, value, splat(-0.2484298169))
    value = fma(decay, value, splat(0.3331909673))
    value = fma(decay, value, splat(-0.4999949314))
    value = fma(decay, value, splat(0.9999999699))
    slope = select_less(zero, vector, one, decay) / (one + decay)
    return fma(decay, value, positive), slope


@njit(forceinline=True)
def sigmoid(vector):
    """1 / (1 + exp(-vector)), to 2e-7 relative; not below -87."""
    zero = splat(0.0)
    one = splat(1.0)
    magnitude = select_less(zero, vector, vector, zero - vector)
    decay = exp2(magnitude * splat(-LOG2_E))
    return select_less(zero, vector, one, decay) / (one + decay)
