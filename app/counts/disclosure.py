"""Disclosure control: what a count is published as, and the audit that lets nothing be published that pins a cell.

Pure: numbers in, numbers out; no framework, no database. The rounding is NHS England's for HES since September
2018 (counts from 1 to 7 hidden, others to the nearest 5, zero shown). Alone it fails: tables that overlap can be
solved against each other. So before anything is published every small count is audited, by construction: the audit
looks for other worlds. A world is the true one with a few contacts added, removed or relabelled, under which every
published figure stays as it is. A small count for which worlds with at least three different values are found is
safe from any attacker, however clever, because those worlds are all as possible as the true one. Where they are
not found, figures that are about to be published are withheld until they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SUPPRESSED: Final = "*"
WITHHELD: Final = "w"
_POSSIBLE_VALUES: Final = 3
_PAIRS_TRIED: Final = 80

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rule:
    """The published rule. Each number may be made stricter than its default, never looser (settings hold that)."""

    suppress_up_to: int = 7
    base: int = 5
    least_denominator: int = 100

    @property
    def id(self) -> str:
        """Names the rule and its version in every answer."""
        return f"imdlens-1: 1-{self.suppress_up_to} suppressed, nearest {self.base}, audited"

    def published(self, n: int) -> int | None:
        """The count as published; None is `*`. ValueError for a negative count, which is no count."""
        if n < 0:
            raise ValueError("a count cannot be negative")
        if n == 0:
            return 0
        return None if n <= self.suppress_up_to else (n + self.base // 2) // self.base * self.base

    def bounds(self, n: int) -> tuple[int, int]:
        """The least and the greatest count that would be published alike."""
        shown = self.published(n)
        if shown is None:
            return 1, self.suppress_up_to
        if shown == 0:
            return 0, 0
        return max(shown - self.base // 2, self.suppress_up_to + 1), shown + (self.base - 1) // 2

    def is_small(self, n: int) -> bool:
        """Whether this count must never be pinned."""
        return 1 <= n <= self.suppress_up_to


class Choice(NamedTuple):
    """Slots of which each contact of a group takes exactly one, such as the sexes of a specialty's year."""

    slots: tuple[int, ...]
    # A slot of these moves with the named other slot: no fixed abode is also an inclusion group.
    linked: Mapping[int, int] = {}


@dataclass(frozen=True, slots=True)
class Structure:
    """How contacts make up what is published.

    A slot is one published figure, or one that a reader may work out. An atom is a kind of contact: by month,
    specialty, decile and outcome. `atoms[a, f]` is the slot of family f that a contact of kind a is counted in, -1
    for none; `choosing[a, c]` the choice of kind c that it makes, an index of `choices`, -1 for none.
    """

    truth: Ints  # of each slot
    atoms: Ints  # atoms x families
    counts: Ints  # of each atom
    choosing: Ints  # atoms x kinds of choice
    choices: Sequence[Choice]


class Audit:
    """Finds, for each small count, other worlds with the same published figures."""

    def __init__(self, structure: Structure, low: Floats, high: Floats) -> None:
        """`low` and `high` are the counts that each slot's published figure allows; inf where nothing is published."""
        slots = len(structure.truth)
        self._s = structure
        self._atoms = np.where(structure.atoms < 0, slots, structure.atoms)  # the last slot is nobody's: always free
        self._up = np.append(high - structure.truth, np.inf)
        self._down = np.append(structure.truth - low, np.inf)
        self._counts = structure.counts.copy()
        nobody = len(structure.choices)
        self._choosing = np.where(structure.choosing < 0, nobody, structure.choosing)
        self._choice_up = np.full(nobody + 1, np.inf)
        self._choice_down = np.full(nobody + 1, np.inf)
        for c in range(nobody):
            self._measure(c)
        self._family_of = np.full(slots + 1, -1)
        self._members: dict[int, Ints] = {}
        for f in range(structure.atoms.shape[1]):
            self._index(f, slots)
        self._choice_of = {slot: c for c, choice in enumerate(structure.choices) for slot in choice.slots}
        self._choosers: dict[int, Ints] = {}
        for kind in range(structure.choosing.shape[1]):
            self._index_choosers(kind, nobody)
        self._undo: list[tuple[str, int, float]] = []

    def _index(self, family: int, slots: int) -> None:
        column = self._atoms[:, family]
        order = np.argsort(column, kind="stable")
        found, starts = np.unique(column[order], return_index=True)
        for slot, members in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
            if slot < slots:
                self._family_of[slot] = family
                self._members[slot] = members

    def _index_choosers(self, kind: int, nobody: int) -> None:
        column = self._choosing[:, kind]
        order = np.argsort(column, kind="stable")
        found, starts = np.unique(column[order], return_index=True)
        for choice, members in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
            if choice < nobody:
                self._choosers[choice] = members

    def _measure(self, choice: int) -> None:
        """How far the best slot of a choice can go up and down, linked slots left out."""
        free = [s for s in self._s.choices[choice].slots if s not in self._s.choices[choice].linked]
        self._choice_up[choice] = max((self._up[s] for s in free), default=0)
        self._choice_down[choice] = max((self._down[s] for s in free), default=0)

    # ---------------------------------------------------------------------------------- the question

    def is_safe(self, slot: int) -> bool:
        """Whether worlds with at least three values of this slot were found, its true one among them."""
        found = 1
        for sign in (1, -1):
            steps = 0
            while found < _POSSIBLE_VALUES and self._step(slot, sign):
                found += 1
                steps += 1
            self._back()
            if found >= _POSSIBLE_VALUES:
                return True
        return False

    def withhold(self, slot: int) -> None:
        """From now on nothing is published of this slot."""
        self._allow(slot, np.inf, float(self._s.truth[slot]))

    def would_help(self, slot: int, target: int) -> bool:
        """Whether the target would be safe with this slot withheld."""
        before = float(self._up[slot]), float(self._down[slot])
        self.withhold(slot)
        safe = self.is_safe(target)
        self._allow(slot, *before)
        return safe

    def _allow(self, slot: int, up: float, down: float) -> None:
        self._up[slot], self._down[slot] = up, down
        if slot in self._choice_of:
            self._measure(self._choice_of[slot])

    def blockers(self, slot: int, candidates: Iterable[int]) -> list[int]:
        """Of the candidates, those that a contact counted in this slot is also counted in, largest count first."""
        touched: set[int] = set()
        if slot in self._choice_of:
            choice = self._choice_of[slot]
            touched.update(self._s.choices[choice].slots)
            touched.update(self._s.choices[choice].linked.values())
            atoms = self._choosers.get(choice, np.empty(0, np.int64))
        else:
            atoms = self._members.get(slot, np.empty(0, np.int64))
            for choice in np.unique(self._choosing[atoms]).tolist():
                if choice < len(self._s.choices):
                    touched.update(self._s.choices[choice].slots)
        touched.update(np.unique(self._atoms[atoms]).tolist())
        tight = [
            s
            for s in candidates
            if s in touched and s != slot and (self._up[s] < 2 or self._down[s] < 2)
        ]
        return sorted(tight, key=lambda s: (-int(self._s.truth[s]), s))

    # ------------------------------------------------------------------------------------- the steps

    def _step(self, slot: int, sign: int) -> bool:
        """Move to a world in which this slot is one more, or one less; False where none was found."""
        if (self._up if sign > 0 else self._down)[slot] < 1:
            return False
        if slot in self._choice_of:
            return self._relabel(slot, sign) or self._change_choosers(slot, sign)
        members = self._members.get(slot)
        if members is None:
            return any(self._step(other, sign) for other in self._linked_to(slot)) or self._alone(slot, sign)
        return self._change(members, sign) or self._exchange(slot, members, sign)

    def _linked_to(self, slot: int) -> list[int]:
        return [s for choice in self._s.choices for s, other in choice.linked.items() if other == slot]

    def _alone(self, slot: int, sign: int) -> bool:
        """A slot that no table shares: an access need is said of a contact or not, whatever else it is."""
        if self._linked_to(slot):
            return False
        self._shift(slot, sign)
        return True

    def _relabel(self, slot: int, sign: int) -> bool:
        """One contact takes this slot instead of another of the same choice, or the other way round."""
        choice = self._s.choices[self._choice_of[slot]]
        link = choice.linked.get(slot)
        if link is not None and (self._up if sign > 0 else self._down)[link] < 1:
            return False
        for other in choice.slots:
            room = self._down[other] if sign > 0 else self._up[other]
            if other == slot or room < 1 or other in choice.linked:
                continue
            self._shift(slot, sign)
            self._shift(other, -sign)
            if link is not None:
                self._shift(link, sign)
            return True
        return False

    def _change(self, atoms: Ints, sign: int) -> bool:
        """Add a contact of one of these kinds, or remove one."""
        room, choices = (self._up, self._choice_up) if sign > 0 else (self._down, self._choice_down)
        possible = (room[self._atoms[atoms]] >= 1).all(1) & (choices[self._choosing[atoms]] >= 1).all(1)
        if sign < 0:
            possible &= self._counts[atoms] >= 1
        if not possible.any():
            return False
        self._move(int(atoms[possible.argmax()]), sign)
        return True

    def _change_choosers(self, slot: int, sign: int) -> bool:
        """Add a contact that takes this slot, or remove one."""
        choice = self._choice_of[slot]
        if slot in self._s.choices[choice].linked:
            return False
        atoms = self._choosers.get(choice)
        if atoms is None:
            return False
        before = self._choice_up[choice], self._choice_down[choice]
        self._choice_up[choice], self._choice_down[choice] = self._up[slot], self._down[slot]
        room, choices = (self._up, self._choice_up) if sign > 0 else (self._down, self._choice_down)
        possible = (room[self._atoms[atoms]] >= 1).all(1) & (choices[self._choosing[atoms]] >= 1).all(1)
        self._choice_up[choice], self._choice_down[choice] = before
        if sign < 0:
            possible &= self._counts[atoms] >= 1
        if not possible.any():
            return False
        self._move(int(atoms[possible.argmax()]), sign, {choice: slot})
        return True

    def _exchange(self, slot: int, members: Ints, sign: int) -> bool:
        """Add a contact of one kind and remove one of another, so that what both are counted in stays."""
        family = self._family_of[slot]
        present = np.flatnonzero(self._counts >= 1)
        if sign > 0:
            mine, others = members, present
        else:
            mine, others = members[self._counts[members] >= 1], np.arange(len(self._counts))
        others = others[self._atoms[others, family] != slot]
        room, choices = (self._up, self._choice_up) if sign > 0 else (self._down, self._choice_down)
        there, choices_there = (self._down, self._choice_down) if sign > 0 else (self._up, self._choice_up)
        other_atoms, other_choosing = self._atoms[others], self._choosing[others]
        other_room, other_choices = there[other_atoms] >= 1, choices_there[other_choosing] >= 1
        for atom in mine[:_PAIRS_TRIED].tolist():
            here, chosen = self._atoms[atom], self._choosing[atom]
            possible = ((other_atoms == here) | (other_room & (room[here] >= 1))).all(1)
            possible &= ((other_choosing == chosen) | (other_choices & (choices[chosen] >= 1))).all(1)
            if possible.any():
                self._swap(atom, int(others[possible.argmax()]), sign)
                return True
        return False

    def _swap(self, atom: int, other: int, sign: int) -> None:
        same = self._choosing[atom] == self._choosing[other]
        shared = {int(c): -1 for c in self._choosing[atom][same].tolist()}  # the label passes from one to the other
        self._move(atom, sign, shared)
        self._move(other, -sign, shared)

    def _move(self, atom: int, sign: int, taken: Mapping[int, int] | None = None) -> None:
        """Add or remove one contact of a kind; `taken` names the slot of a choice, -1 for one that is not touched."""
        for slot in self._atoms[atom].tolist():
            self._shift(slot, sign)
        for choice in self._choosing[atom].tolist():
            if choice == len(self._s.choices):
                continue
            slot = (taken or {}).get(choice, None)
            if slot is None:
                linked = self._s.choices[choice].linked
                room = self._up if sign > 0 else self._down
                slot = max((s for s in self._s.choices[choice].slots if s not in linked), key=lambda s: room[s])
            if slot >= 0:
                self._shift(slot, sign)
        self._counts[atom] += sign
        self._undo.append(("atom", atom, -sign))

    def _shift(self, slot: int, by: int) -> None:
        self._up[slot] -= by
        self._down[slot] += by
        self._undo.append(("slot", slot, -by))
        if slot in self._choice_of:
            self._measure(self._choice_of[slot])

    def _back(self) -> None:
        """Return to the true world."""
        undo, self._undo = self._undo[::-1], []
        for what, which, by in undo:
            if what == "atom":
                self._counts[which] += int(by)
            else:
                self._shift(which, int(by))
        self._undo = []


def audit(structure: Structure, targets: Iterable[int], low: Floats, high: Floats, candidates: set[int]) -> set[int]:
    """The candidates that must be withheld so that every target is safe.

    `targets` are the slots whose true count is small. What is withheld only widens what is possible, so a target
    found safe stays safe. RuntimeError where all candidates together do not suffice, which cannot be unless what
    was published before was unsafe.
    """
    worlds = Audit(structure, low, high)
    withheld: set[int] = set()
    for target in targets:
        while not worlds.is_safe(target):
            left = worlds.blockers(target, candidates - withheld) or sorted(candidates - withheld - {target})
            if not left:
                raise RuntimeError("a small count cannot be protected")
            chosen = next((slot for slot in left if worlds.would_help(slot, target)), left[0])
            worlds.withhold(chosen)
            withheld.add(chosen)
    return withheld
