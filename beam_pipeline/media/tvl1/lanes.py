"""Sixteen numbers at a time: what LLVM does not find by itself in loops over rows, written as formulas.

A loop that carries a value from one block to the next, a network of comparisons, or a row of taps is written once with
`Lanes`, and compiled for whatever processor is there: sixteen numbers are one, two or four of its vectors. No fast-math
flag is ever set, so each operation rounds as IEEE 754 has it, and all x86-64 processors give the same bits; so they do
between `flush_subnormals` and `restore_subnormals`, which sweeps are.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llvmlite import binding, ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16

_I32, _I64, _F32, _F64 = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()
_X86 = platform.machine() in ("x86_64", "AMD64")


@functools.cache
def _digest() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files), digest_size=8).hexdigest()


def compiled(function: Callable[..., Any]) -> Any:
    """Compiles a function at its first call, or takes it from numba's cache on disk.

    The cache looks at the file that a function is in, and not at what it uses of others: the digest of all does.
    """
    function.__qualname__ += f"_{_digest()}"
    # Without reference counts, which cost a fifth of the sweeps: nothing is allocated here.
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that could keep it
        return njit(**options)(function)


def padded(width: int) -> int:
    """The length of a row of whole blocks, with one value more than `width` at least."""
    return (width // LANES + 1) * LANES


@functools.cache
def _multiplies_and_adds_at_once() -> bool:
    """Whether code is generated for a processor with fused multiply-add: x86-64 of 2013 and later, any of ARM."""
    # What NUMBA_CPU_FEATURES says; None: what this machine has.
    chosen = config.CPU_FEATURES  # type: ignore[attr-defined]  # numba sets it when it is loaded
    return not _X86 or "+fma" in (binding.get_host_cpu_features().flatten() if chosen is None else chosen).split(",")


class Lanes:
    """Neighbouring float32 values in code that is being generated; `+ - * /` are IEEE's, lane by lane."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self._builder, self.value = builder, value

    def _make(self, value: ir.Value) -> Lanes:
        return Lanes(self._builder, value)

    def __add__(self, other: Lanes) -> Lanes:
        return self._make(self._builder.fadd(self.value, other.value))

    def __sub__(self, other: Lanes) -> Lanes:
        return self._make(self._builder.fsub(self.value, other.value))

    def __mul__(self, other: Lanes) -> Lanes:
        return self._make(self._builder.fmul(self.value, other.value))

    def __truediv__(self, other: Lanes) -> Lanes:
        return self._make(self._builder.fdiv(self.value, other.value))

    def times_plus(self, other: Lanes, addend: Lanes) -> Lanes:
        """The product plus `addend`, rounded once: IEEE 754's fusedMultiplyAdd."""
        if _multiplies_and_adds_at_once():
            return self._call("fma", other, addend)
        return self._times_plus_in_double(other, addend)

    def _times_plus_in_double(self, other: Lanes, addend: Lanes) -> Lanes:
        """The same where there is no such instruction, and LLVM would call a function for each lane.

        A product is exact in float64. The sum is rounded to odd there, so that rounding it to float32 is as if there
        had been no rounding before (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
        """
        builder, count = self._builder, self.value.type.count
        wide, bits = ir.VectorType(_F64, count), ir.VectorType(_I64, count)
        one, zero = ir.Constant(bits, [1] * count), ir.Constant(wide, [0.0] * count)
        left, right, added = (builder.fpext(lanes.value, wide) for lanes in (self, other, addend))
        product = builder.fmul(left, right)
        total = builder.fadd(product, added)
        of_added = builder.fsub(total, product)
        lost = builder.fadd(builder.fsub(product, builder.fsub(total, of_added)), builder.fsub(added, of_added))
        pattern = builder.bitcast(total, bits)
        even = builder.icmp_signed("==", builder.and_(pattern, one), ir.Constant(bits, [0] * count))
        outwards = builder.icmp_signed(
            "==", builder.fcmp_ordered("<", total, zero), builder.fcmp_ordered("<", lost, zero)
        )
        odd = builder.select(outwards, builder.add(pattern, one), builder.sub(pattern, one))
        inexact = builder.and_(even, builder.fcmp_ordered("!=", lost, zero))
        return self._make(
            builder.fptrunc(builder.bitcast(builder.select(inexact, odd, pattern), wide), self.value.type)
        )

    def sqrt(self) -> Lanes:
        """The root, correctly rounded."""
        return self._call("sqrt")

    def floor(self) -> Lanes:
        """The whole number below."""
        return self._call("floor")

    def _call(self, name: str, *others: Lanes) -> Lanes:
        """One of LLVM's functions of vectors that is a float32 vector itself."""
        kind, values = self.value.type, [self.value, *(other.value for other in others)]
        function = cgutils.get_or_insert_function(
            self._builder.module, ir.FunctionType(kind, [kind] * len(values)), f"llvm.{name}.v{kind.count}f32"
        )
        return self._make(self._builder.call(function, values))

    def minimum(self, other: Lanes) -> Lanes:
        """The smaller value, the other's where they are equal or not numbers: one instruction of x86-64."""
        return self.where("<", other, other)

    def maximum(self, other: Lanes) -> Lanes:
        """The larger value, the other's where they are equal or not numbers."""
        return self.where(">", other, other)

    def where(self, relation: str, limit: Lanes, otherwise: Lanes, of: Lanes | None = None) -> Lanes:
        """`of`, by default these numbers, where these are `<` or `>` a limit, and elsewhere `otherwise`."""
        chosen = self._builder.fcmp_ordered(relation, self.value, limit.value)
        return self._make(self._builder.select(chosen, (of or self).value, otherwise.value))

    def pick(self, lanes: Sequence[int], other: Lanes | None = None) -> Lanes:
        """The lanes of these numbers, where `other`'s count on after one's own."""
        mask = ir.Constant(ir.VectorType(_I32, len(lanes)), list(lanes))
        return self._make(self._builder.shuffle_vector(self.value, (other or self).value, mask))

    def behind(self, block_before: Lanes) -> Lanes:
        """Each lane's left neighbour."""
        return block_before.pick(range(LANES - 1, 2 * LANES - 1), self)


def all_zero(values: Sequence[Lanes], builder: ir.IRBuilder) -> ir.Value:
    """Whether all lanes of all values are zeros, of either sign: an i1."""
    kind = ir.VectorType(_I32, LANES)
    bits = functools.reduce(builder.or_, (builder.bitcast(value.value, kind) for value in values))
    magnitudes = builder.shl(bits, ir.Constant(kind, [1] * LANES))
    found = builder.icmp_unsigned("!=", magnitudes, ir.Constant(kind, [0] * LANES))
    return builder.icmp_unsigned("==", builder.bitcast(found, ir.IntType(LANES)), ir.Constant(ir.IntType(LANES), 0))


_FLUSH = 0x8040  # of the control register MXCSR: results and operands that are subnormal are zeros


@intrinsic
def flush_subnormals(typing_context):
    """Takes subnormal numbers for zeros from here on, which cost a hundred cycles each; returns how it was before.

    Nothing may raise between this and `restore_subnormals`. On other processors than x86-64 it does nothing.
    """

    def generate(context, builder, signature, arguments):
        if not _X86:
            return ir.Constant(_I32, 0)
        slot = cgutils.alloca_once(builder, _I32)
        _with_control_register(builder, "stmxcsr", slot)
        before = builder.load(slot)
        builder.store(builder.or_(before, ir.Constant(_I32, _FLUSH)), slot)
        _with_control_register(builder, "ldmxcsr", slot)
        return before

    return types.uint32(), generate


@intrinsic
def restore_subnormals(typing_context, before):
    """Goes back to what `flush_subnormals` returned."""

    def generate(context, builder, signature, arguments):
        if _X86:
            slot = cgutils.alloca_once_value(builder, arguments[0])
            _with_control_register(builder, "ldmxcsr", slot)
        return context.get_dummy_value()

    return types.void(types.uint32), generate


def _with_control_register(builder: ir.IRBuilder, instruction: str, slot: ir.Value) -> None:
    """Loads the control register of vectors from a place in memory, or stores it there."""
    address = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [address])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{instruction}")
    builder.call(function, [builder.bitcast(slot, address)])


class Code:
    """What is being generated: the arguments of a function, its loop over a row, its constants and variables."""

    def __init__(self, context: Any, builder: ir.IRBuilder, signature: Any, arguments: Sequence[ir.Value]):
        self.builder = builder
        self._arrays = {
            number: context.make_array(kind)(context, builder, argument)
            for number, (kind, argument) in enumerate(zip(signature.args, arguments, strict=True))
            if isinstance(kind, types.Array)
        }

    def constant(self, value: float) -> Lanes:
        """One number in all lanes."""
        return Lanes(self.builder, ir.Constant(ir.VectorType(_F32, LANES), [value] * LANES))

    def spread(self, value: ir.Value, lanes: int = LANES) -> Lanes:
        """One value in all lanes."""
        undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(_I32, 0))
        return Lanes(self.builder, first).pick([0] * lanes)

    def place(self, number: int, *indices: ir.Value | int) -> ir.Value:
        """The address of an element of argument `number`, an array."""
        array, builder = self._arrays[number], self.builder
        sides = cgutils.unpack_tuple(builder, array.shape)
        place: ir.Value = ir.Constant(_I64, 0)
        for side, index in zip(sides, indices, strict=True):
            at = ir.Constant(_I64, index) if isinstance(index, int) else index
            place = builder.add(builder.mul(place, side), at)
        return builder.gep(array.data, [place])

    def load(self, place: ir.Value, at: ir.Value | int = 0, lanes: int = LANES) -> Lanes:
        """Values from an address on, `at` elements further, which need not be aligned."""
        return Lanes(self.builder, self.builder.load(self._vector(place, at, lanes), align=4))

    def load_channels(self, place: ir.Value, count: int) -> list[Lanes]:
        """LANES values of each of `count` channels, which lie beside each other for every pixel."""
        together = self.load(place, 0, count * LANES)
        return [together.pick(range(channel, count * LANES, count)) for channel in range(count)]

    def store_channels(self, channels: Sequence[Lanes], place: ir.Value) -> None:
        """The reverse, for a power of two of channels."""
        parts = list(channels)
        while len(parts) > 1:
            half, lanes = len(parts) // 2, parts[0].value.type.count
            by_turns = [lane for pair in zip(range(lanes), range(lanes, 2 * lanes), strict=True) for lane in pair]
            parts = [parts[number].pick(by_turns, parts[half + number]) for number in range(half)]
        self.store(parts[0], place)

    def stride(self, number: int) -> ir.Value:
        """How many elements there are in one of the first axis of argument `number`, an array."""
        return functools.reduce(self.builder.mul, cgutils.unpack_tuple(self.builder, self._arrays[number].shape)[1:])

    def store(self, value: Lanes, place: ir.Value, at: ir.Value | int = 0) -> None:
        """Stores all lanes from an address on, `at` elements further, which need not be aligned."""
        self.builder.store(value.value, self._vector(place, at, value.value.type.count), align=4)

    def _vector(self, place: ir.Value, at: ir.Value | int, lanes: int) -> ir.Value:
        offset = ir.Constant(_I64, at) if isinstance(at, int) else at
        return self.builder.bitcast(self.builder.gep(place, [offset]), ir.VectorType(_F32, lanes).as_pointer())

    def variables(self, *values: Lanes) -> Variables:
        """Variables with their first values."""
        return Variables(self.builder, values)

    @contextmanager
    def blocks(self, width: ir.Value) -> Iterator[ir.Value]:
        """A loop over the blocks of a row, the last of which may stand out of it: the first column of each."""
        steps = ir.Constant(_I64, 0), width, ir.Constant(_I64, LANES)
        with cgutils.for_range_slice(self.builder, *steps, intp=_I64) as (x, _):
            yield x

    def pipeline(
        self,
        width: ir.Value,
        first: Callable[[ir.Value], list[Lanes]],
        second: Callable[[list[Lanes]], list[Lanes]],
        third: Callable[[ir.Value, list[Lanes]], None],
    ) -> None:
        """Three stages over the blocks of a row, each on what the one before it made of a block.

        What one stage waits for, roots and quotients above all, is computed while others are at other blocks:

            first 0, second 0, first 1
            third 0, second 1, first 2      the loop: all three independent of each other
            third 1, second 2, first 3
            third 2, second 3, third 3

        So `first` must not read what `third` stores for the two blocks before. `width` is 1 or more.
        """
        builder, step = self.builder, ir.Constant(_I64, LANES)
        start = ir.Constant(_I64, 0)
        last = builder.and_(builder.sub(width, ir.Constant(_I64, 1)), ir.Constant(_I64, -LANES))
        begun = self.variables(*first(start))
        ready = self.variables(*second(begun.get()))
        with builder.if_then(builder.icmp_signed(">", last, start)):
            begun.set(*first(step))
            rest = builder.add(step, step), builder.add(last, step), step
            with cgutils.for_range_slice(builder, *rest, intp=_I64) as (x, _):
                third(builder.sub(x, builder.add(step, step)), ready.get())
                ready.set(*second(begun.get()))
                begun.set(*first(x))
            third(builder.sub(last, step), ready.get())
            ready.set(*second(begun.get()))
        third(last, ready.get())

    def columns(self, x: ir.Value) -> Lanes:
        """The numbers of the columns of the block at `x`."""
        kind = ir.VectorType(_I32, LANES)
        first = self.spread(self.builder.trunc(x, _I32)).value
        numbers = self.builder.add(first, ir.Constant(kind, list(range(LANES))))
        return Lanes(self.builder, self.builder.sitofp(numbers, ir.VectorType(_F32, LANES)))

    def store_integers(self, value: Lanes, place: ir.Value) -> None:
        """Stores whole numbers, as int32."""
        kind = ir.VectorType(_I32, LANES)
        address = self.builder.bitcast(place, kind.as_pointer())
        self.builder.store(self.builder.fptosi(value.value, kind), address, align=4)


class Variables:
    """Lanes that a loop changes."""

    def __init__(self, builder: ir.IRBuilder, values: Sequence[Lanes]):
        self._builder = builder
        self._slots = [cgutils.alloca_once(builder, value.value.type) for value in values]
        self.set(*values)

    def get(self) -> list[Lanes]:
        """What they hold here."""
        return [Lanes(self._builder, self._builder.load(slot)) for slot in self._slots]

    def set(self, *values: Lanes) -> None:
        """Gives them other values."""
        for slot, value in zip(self._slots, values, strict=True):
            self._builder.store(value.value, slot)
