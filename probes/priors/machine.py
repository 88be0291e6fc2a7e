"""A machine that counts: arithmetic on tables whose work, depth and instructions are recorded as it runs.

Work is multiplications, additions (comparisons and divisions count as one each) and entries read from tables. Depth is
the longest chain of operations each of which needs the one before: every number carries its own, an operation's result
is one deeper than the deepest of its operands, and n numbers are added, multiplied or compared in ⌈log2 n⌉ dependent
steps. Both are counted, not derived from formulas: they are those of the very run that gave the answer.

A program is written in *routines*. The instructions of a routine are noted when it first runs; a loop over a routine is
one call and a count. What a routine gave is kept: asked again with the same operands, it is there without work, so that
what two parts of a program share is done once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import ProbeError

#: Everything an instruction may be, besides the call of a routine.
OPCODES = ("read", "gather", "multiply", "add", "subtract", "divide", "total", "product", "largest", "position",
           "at_least", "choose", "arrange", "call")  # fmt: skip
NAMES = 32  # routines that a call may name


@dataclass(frozen=True, eq=False)
class Value:
    """Numbers in the machine's registers.

    Attributes:
        numbers: of any shape.
        depth: dependent steps behind each number, of the same shape.
    """

    numbers: NDArray[Any]
    depth: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the numbers."""
        return tuple(self.numbers.shape)


@dataclass
class Instruction:
    """One line of a routine: what is done, how many operands it names, and how often it is repeated."""

    opcode: str
    operands: int
    times: int = 1
    routine: str = ""


@dataclass
class Machine:
    """Runs and counts.

    Attributes:
        operations: multiply-adds so far.
        reads: table entries read so far.
        code: instructions of each routine that has run.
    """

    operations: int = 0
    reads: int = 0
    code: dict[str, list[Instruction]] = field(default_factory=dict)
    _inside: list[list[Instruction] | None] = field(default_factory=list, repr=False)
    _kept: dict[tuple[Any, ...], tuple[Any, ...]] = field(default_factory=dict, repr=False)

    @property
    def work(self) -> int:
        """Multiply-adds and table reads."""
        return self.operations + self.reads

    def given(self, numbers: ArrayLike) -> Value:
        """Numbers that are there without cost: what the machine is shown."""
        array = np.asarray(numbers)
        return Value(array, np.zeros(array.shape, dtype=np.int64))

    def read(self, table: ArrayLike) -> Value:
        """A whole table: one read per entry, one step deep."""
        array = np.asarray(table, dtype=np.float64)
        self.reads += array.size
        self._note("read", 1)
        return Value(array, np.ones(array.shape, dtype=np.int64))

    def gather(self, table: Value, axis: int, places: int | Sequence[int] | NDArray[np.integer]) -> Value:
        """The parts of a table at positions of an axis, which evidence names: one read per entry of the result."""
        self._note("gather", 2)
        found = Value(np.take(table.numbers, places, axis), np.take(table.depth, places, axis) + 1)
        self.reads += found.numbers.size
        return found

    def multiply(self, one: Value, other: Value) -> Value:
        """Entry by entry, broadcast."""
        return self._pairwise("multiply", np.multiply, one, other)

    def add(self, one: Value, other: Value) -> Value:
        """Entry by entry, broadcast."""
        return self._pairwise("add", np.add, one, other)

    def subtract(self, one: Value, other: Value) -> Value:
        """Entry by entry, broadcast."""
        return self._pairwise("subtract", np.subtract, one, other)

    def divide(self, one: Value, other: Value) -> Value:
        """Entry by entry, broadcast; 0 where both are 0."""

        def ratio(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
            return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)

        return self._pairwise("divide", ratio, one, other)

    def at_least(self, one: Value, other: Value) -> Value:
        """1 where one ≥ other, else 0."""
        return self._pairwise("at_least", lambda a, b: (a >= b).astype(np.float64), one, other)

    def total(self, value: Value, axes: Sequence[int]) -> Value:
        """Sums over axes, by trees of additions."""
        return self._reduced("total", np.sum, value, axes)

    def product(self, value: Value, axes: Sequence[int]) -> Value:
        """Products over axes, by trees."""
        return self._reduced("product", np.prod, value, axes)

    def largest(self, value: Value, axes: Sequence[int]) -> Value:
        """Maxima over axes, by trees of comparisons."""
        return self._reduced("largest", np.max, value, axes)

    def position(self, value: Value) -> Value:
        """Where the largest of a vector stands, the first of equals."""
        if value.numbers.ndim != 1 or not len(value.numbers):
            mend = "give it a vector of at least one number"
            raise ProbeError("no vector to find the largest in", found=value.shape, mend=mend)
        self._note("position", 1)
        count = len(value.numbers)
        self.operations += count - 1
        deep = int(value.depth.max()) + _levels(count)
        return Value(np.asarray(value.numbers.argmax()), np.asarray(deep))

    def choose(self, flag: Value, yes: Callable[[], Value], no: Callable[[], Value]) -> Value:
        """`yes()` where the flag is 1, else `no()`; only what is chosen is made: one read per entry, after the flag."""
        self._note("choose", 3)
        chosen = yes() if bool(flag.numbers) else no()
        self.reads += chosen.numbers.size
        return Value(chosen.numbers, np.maximum(chosen.depth, flag.depth) + 1)

    def arrange(self, value: Value, shape: Sequence[int]) -> Value:
        """The same numbers in another shape; wiring, without cost when it runs."""
        self._note("arrange", 1)
        return Value(value.numbers.reshape(shape), value.depth.reshape(shape))

    def stack(self, values: Sequence[Value]) -> Value:
        """Values of one shape side by side along a new first axis; wiring, without cost when it runs."""
        self._note("arrange", len(values))
        return Value(np.stack([v.numbers for v in values]), np.stack([v.depth for v in values]))

    def after(self, value: Value, other: Value) -> Value:
        """A value that may be used only once another is known; no instruction, no work: for taking programs apart."""
        return Value(value.numbers, np.maximum(value.depth, other.depth.max(initial=0)))

    def call(self, name: str, routine: Callable[..., Value], *operands: Any) -> Value:
        """Run a routine; its instructions are noted the first time, its result is kept for the same operands.

        Args:
            name: of the routine.
            routine: (machine, *operands) → Value, of this machine's operations alone.
            operands: registers, or constants of the program.
        """
        self._note("call", sum(isinstance(one, Value) for one in operands), name)
        key = (name, *(id(one) if isinstance(one, Value) else repr(one) for one in operands))
        if key not in self._kept:
            with self._noting(name):
                found = routine(self, *operands)
            self._kept[key] = (found, operands)  # operands are held, so that no identity is used twice
        answer: Value = self._kept[key][0]
        return answer

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        first = name not in self.code
        self._inside.append(self.code.setdefault(name, []) if first else None)
        try:
            yield
        finally:
            self._inside.pop()

    def _note(self, opcode: str, operands: int, routine: str = "") -> None:
        if not self._inside or self._inside[-1] is None:
            return
        lines = self._inside[-1]
        if opcode == "call" and lines and (lines[-1].opcode, lines[-1].routine) == ("call", routine):
            lines[-1].times += 1
        else:
            lines.append(Instruction(opcode, operands, 1, routine))

    def _pairwise(self, opcode: str, apply: Callable[..., NDArray[Any]], one: Value, other: Value) -> Value:
        self._note(opcode, 2)
        numbers = apply(one.numbers, other.numbers)
        self.operations += numbers.size
        return Value(numbers, np.maximum(one.depth, other.depth) + 1)

    def _reduced(self, opcode: str, apply: Callable[..., Any], value: Value, axes: Sequence[int]) -> Value:
        self._note(opcode, 1)
        over = tuple(axes)
        count = math.prod(value.numbers.shape[axis] for axis in over)
        numbers = np.asarray(apply(value.numbers, axis=over))
        self.operations += numbers.size * (count - 1)
        return Value(numbers, np.asarray(value.depth.max(axis=over)) + _levels(count))


def code_length(routines: Sequence[Sequence[Instruction]]) -> float:
    """Bits of instructions: for each log2 of the opcodes, log2 of the registers for each operand and for the result of
    earlier lines it names, log2 `NAMES` for a call's routine, and γ codes of repetitions and of each routine's length.

    Registers of a routine are its lines and four operands of its own.
    """
    bits = 0.0
    for lines in routines:
        bits += gamma_length(len(lines) + 1)
        registers = math.log2(len(lines) + 4)
        for line in lines:
            bits += math.log2(len(OPCODES)) + line.operands * registers
            if line.opcode == "call":
                bits += math.log2(NAMES) + gamma_length(line.times)
    return bits


def gamma_length(number: int) -> int:
    """Bits of Elias's γ code of a whole number ≥ 1: 2⌊log2 n⌋ + 1.

    Source: Elias 1975, "Universal codeword sets and representations of the integers".
    """
    if number < 1:
        raise ProbeError("no whole number ≥ 1", found=number, mend="code number + 1")
    return 2 * (int(number).bit_length() - 1) + 1


def _levels(count: int) -> int:
    return math.ceil(math.log2(count)) if count > 1 else 0
