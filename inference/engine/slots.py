"""The key-value cells: which slot holds which tokens, who shares them, what may be forgotten. Accounts for every cell.

A slot is one sequence of the backend. A finished request leaves its tokens in its slot as a cached prefix for the next
one; the least recently used is forgotten when cells or slots run short. Shared prefixes occupy their cells once.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field

from inference.backends.base import Backend

# Sharing fewer tokens than this is not worth a copy.
MIN_SHARED_TOKENS = 8


@dataclass(slots=True)
class Slot:
    """One sequence of the backend: the tokens whose cells are computed, with which adapter, and the cells' numbers in
    our own ledger."""

    number: int
    tokens: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    is_held: bool = False
    used_at: int = 0
    adapter: str | None = None


def common_prefix(left: list[int], right: list[int]) -> int:
    """Length of the common beginning, found by halving so that the comparisons run in C."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    while low < high - 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low


class SlotTable:
    """All slots of a backend and the ledger of their cells."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.cell_count = backend.info.cell_count
        self.slots = [Slot(number) for number in range(backend.info.slot_count)]
        self._owners: Counter[int] = Counter()
        self._next_cell = itertools.count()
        self._clock = itertools.count(1)

    @property
    def used_cells(self) -> int:
        """Cells that hold a token, shared ones counted once."""
        return len(self._owners)

    @property
    def free_cells(self) -> int:
        """Cells that hold nothing."""
        return self.cell_count - len(self._owners)

    def reclaimable_cells(self) -> int:
        """Cells that only cached slots hold."""
        held = {cell for slot in self.slots if slot.is_held for cell in slot.cells}
        return len(self._owners) - len(held)

    def longest_prefix(self, tokens: list[int], adapter: str | None = None) -> int:
        """How many leading tokens are computed in some slot; the last token never counts, its logits are needed."""
        wanted = tokens[:-1]
        return max((common_prefix(slot.tokens, wanted) for slot in self.slots if slot.adapter == adapter), default=0)

    def acquire(self, tokens: list[int], adapter: str | None = None) -> tuple[Slot, int] | None:
        """A slot for a sequence, holding as much of its beginning as is known: (slot, cached tokens). None when all
        slots are held."""
        wanted = tokens[:-1]
        best, shared = None, 0
        for slot in self.slots:
            length = common_prefix(slot.tokens, wanted) if slot.adapter == adapter else 0
            if length > shared or (
                length == shared and length and best is not None and best.is_held and not slot.is_held
            ):
                best, shared = slot, length
        if best is None or shared < MIN_SHARED_TOKENS:
            target = self._empty_slot(avoid=None)
            if target is None:
                return None
            target.adapter = adapter
            return self._hold(target), 0
        if not best.is_held and shared == len(best.tokens):
            return self._hold(best), shared
        target = self._empty_slot(avoid=best)
        if target is None:
            if best.is_held:
                return None
            return self._hold(best), self.cut(best, shared)
        self._backend.copy(best.number, target.number, shared)
        target.adapter = adapter
        target.tokens = best.tokens[:shared]
        target.cells = best.cells[:shared]
        self._owners.update(target.cells)
        best.used_at = next(self._clock)
        return self._hold(target), shared

    def extend(self, slot: Slot, tokens: list[int]) -> None:
        """Note that the backend has computed these tokens at the end of the slot."""
        cells = list(itertools.islice(self._next_cell, len(tokens)))
        slot.tokens += tokens
        slot.cells += cells
        self._owners.update(cells)

    def cut(self, slot: Slot, length: int) -> int:
        """Cut a slot to its first tokens; returns how many are left (0 when the backend cannot cut in the middle)."""
        if length == len(slot.tokens):
            return length
        if not self._backend.trim(slot.number, length):
            self._backend.trim(slot.number, 0)
            length = 0
        dropped = slot.cells[length:]
        del slot.tokens[length:]
        del slot.cells[length:]
        for cell in dropped:
            self._owners[cell] -= 1
            if self._owners[cell] <= 0:
                del self._owners[cell]
        return length

    def release(self, slot: Slot, *, keep: bool) -> None:
        """Let go of a slot; ``keep`` leaves its tokens as a cached prefix."""
        slot.is_held = False
        slot.used_at = next(self._clock)
        if not keep:
            self.forget(slot)

    def forget(self, slot: Slot) -> None:
        """Empty a slot and free the cells that nobody else shares."""
        self.cut(slot, 0)

    def make_room(self, cells: int) -> bool:
        """Forget cached slots, least recently used first, until so many cells are free."""
        while self.free_cells < cells:
            idle = [slot for slot in self.slots if not slot.is_held and slot.tokens]
            if not idle:
                return False
            self.forget(min(idle, key=lambda slot: slot.used_at))
        return True

    def clear(self) -> None:
        """Forget everything, e.g. after the backend failed."""
        self._backend.clear()
        for slot in self.slots:
            slot.tokens, slot.cells, slot.is_held = [], [], False
        self._owners.clear()

    def check(self) -> list[str]:
        """Account for every cell: a list of what does not add up, empty when all is well."""
        problems = [
            f"slot {slot.number} has {len(slot.tokens)} tokens but {len(slot.cells)} cells"
            for slot in self.slots
            if len(slot.tokens) != len(slot.cells)
        ]
        counted = Counter(cell for slot in self.slots for cell in slot.cells)
        if counted != self._owners:
            problems.append(f"{len(counted)} cells are referred to, {len(self._owners)} are in the ledger")
        if self.used_cells > self.cell_count:
            problems.append(f"{self.used_cells} cells are used of {self.cell_count}")
        return problems

    def _hold(self, slot: Slot) -> Slot:
        slot.is_held = True
        slot.used_at = next(self._clock)
        return slot

    def _empty_slot(self, avoid: Slot | None) -> Slot | None:
        idle = [slot for slot in self.slots if not slot.is_held and slot is not avoid]
        if not idle:
            return None
        target = min(idle, key=lambda slot: (bool(slot.tokens), slot.used_at))
        self.forget(target)
        return target
