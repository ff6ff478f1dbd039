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
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SUPPRESSED: Final = "*"
WITHHELD: Final = "w"
ROUNDED_TO: Final = 5
LEAST_SUPPRESSED: Final = 7  # counts from 1 to this are hidden at least
_POSSIBLE_VALUES: Final = 3
_PAIRS_TRIED: Final = 80

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rule:
    """The published rule. Each number may be made stricter than its default, never looser (settings hold that)."""

    suppress_up_to: int = LEAST_SUPPRESSED
    least_denominator: int = 100

    def __post_init__(self) -> None:
        """ValueError where counts cannot be hidden up to this number: see `may_suppress_up_to`."""
        if not may_suppress_up_to(self.suppress_up_to):
            raise ValueError("counts are hidden up to 7, 12, 17 and so on")

    @property
    def id(self) -> str:
        """Names the rule and its version in every answer, with each number that holds for a financial year."""
        return (
            f"imdlens-1: 1-{self.suppress_up_to} suppressed, nearest {ROUNDED_TO}, audited,"
            f" shares of {self.least_denominator} or more"
        )

    def published(self, n: int) -> int | None:
        """The count as published; None is `*`. ValueError for a negative count, which is no count."""
        if n < 0:
            raise ValueError("a count cannot be negative")
        if n == 0:
            return 0
        return None if n <= self.suppress_up_to else (n + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO

    def bounds(self, n: int) -> tuple[int, int]:
        """The least and the greatest count that would be published alike."""
        shown = self.published(n)
        if shown is None:
            return 1, self.suppress_up_to
        if shown == 0:
            return 0, 0
        return shown - ROUNDED_TO // 2, shown + ROUNDED_TO // 2

    def is_small(self, n: int) -> bool:
        """Whether this count must never be pinned."""
        return 1 <= n <= self.suppress_up_to


def may_suppress_up_to(n: int) -> bool:
    """Whether counts may be hidden from 1 to this: 7, 12, 17 and so on.

    Any other number would cut into the five counts that are rounded alike, and the least figure shown would then
    stand for fewer of them than the others.
    """
    return n >= LEAST_SUPPRESSED and (n - LEAST_SUPPRESSED) % ROUNDED_TO == 0


class Choice(NamedTuple):
    """Labels of which each contact of a group takes exactly one, such as the sexes of a specialty's year.

    A label is the slots that such a contact is counted in: no fixed abode is an inclusion group too. Choices with the
    same `group` have the same labels at the same places, but for slots of their own that nobody publishes: a contact
    may pass from one to the other and keep its label, where that is one of the first `passing` ones.
    """

    labels: tuple[tuple[int, ...], ...]
    group: int = -1
    passing: int = 0


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
    floors: Mapping[int, int] = field(default_factory=dict)  # what a slot is known not to be less than


class Audit:
    """Finds, for each small count, other worlds with the same published figures."""

    def __init__(self, structure: Structure, low: Floats, high: Floats) -> None:
        """`low` and `high` are the counts that each slot's published figure allows; inf where nothing is published."""
        slots = len(structure.truth)
        self._s = structure
        self._atoms = np.where(structure.atoms < 0, slots, structure.atoms)  # the last slot is nobody's: always free
        self._up = np.append(high - structure.truth, np.inf)
        self._down = np.append(structure.truth - low, np.inf)
        self._shown_up, self._shown_down = self._up.copy(), self._down.copy()
        self._counts = structure.counts.copy()
        nobody = len(structure.choices)
        self._choosing = np.where(structure.choosing < 0, nobody, structure.choosing)
        self._labels_of: dict[int, list[tuple[int, int]]] = {}
        for c, choice in enumerate(structure.choices):
            for k, label in enumerate(choice.labels):
                for slot in label:
                    self._labels_of.setdefault(slot, []).append((c, k))
        self._choices_of = {slot: sorted({c for c, _ in found}) for slot, found in self._labels_of.items()}
        # Slots of a label that stand in no other choice: they follow a contact that passes with its label.
        self._own = [
            [tuple(s for s in label if self._choices_of[s] == [c]) for label in choice.labels]
            for c, choice in enumerate(structure.choices)
        ]
        self._group = np.append([choice.group for choice in structure.choices], -1).astype(np.int64)
        self._choice_up = np.full(nobody + 1, np.inf)
        self._choice_down = np.full(nobody + 1, np.inf)
        self._choice_pass = np.zeros(nobody + 1)
        for c in range(nobody):
            self._measure(c)
        self._family_of = np.full(slots + 1, -1)
        self._members: dict[int, Ints] = {}
        for f in range(structure.atoms.shape[1]):
            members = _places(self._atoms[:, f], slots)
            self._members |= members
            for slot in members:
                self._family_of[slot] = f
        self._choosers: dict[int, Ints] = {}
        for kind in range(structure.choosing.shape[1]):
            self._choosers |= _places(self._choosing[:, kind], nobody)
        self._undo: list[tuple[str, int, float]] = []

    def _measure(self, choice: int) -> None:
        """How far the best label of a choice can go up and down, and how many contacts can pass with theirs."""
        labels, up, down = self._s.choices[choice].labels, self._up, self._down
        self._choice_up[choice] = max((min(up[s] for s in label) for label in labels), default=0)
        self._choice_down[choice] = max((min(down[s] for s in label) for label in labels), default=0)
        passing = self._s.choices[choice].passing
        own = self._own[choice][:passing]
        self._choice_pass[choice] = max((min((down[s] for s in label), default=0) for label in own), default=0)

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
        self._allow(slot, np.inf, float(self._s.truth[slot] - self._s.floors.get(slot, 0)))

    def publish(self, slot: int) -> None:
        """The slot's figure is published after all."""
        self._allow(slot, float(self._shown_up[slot]), float(self._shown_down[slot]))

    def size(self, slot: int) -> int:
        """The true count of a slot."""
        return int(self._s.truth[slot])

    def would_help(self, slot: int, target: int) -> bool:
        """Whether the target would be safe with this slot withheld."""
        before = float(self._up[slot]), float(self._down[slot])
        self.withhold(slot)
        safe = self.is_safe(target)
        self._allow(slot, *before)
        return safe

    def _allow(self, slot: int, up: float, down: float) -> None:
        self._up[slot], self._down[slot] = up, down
        for choice in self._choices_of.get(slot, ()):
            self._measure(choice)

    def blockers(self, slot: int, candidates: Iterable[int]) -> list[int]:
        """Of the candidates, those that a contact counted in this slot is also counted in, largest count first."""
        choices = set(self._choices_of.get(slot, ()))
        groups = [self._choosers[c] for c in choices if c in self._choosers]
        atoms = np.concatenate([*groups, self._members.get(slot, np.empty(0, np.int64))]).astype(np.int64)
        choices |= set(np.unique(self._choosing[atoms]).tolist()) - {len(self._s.choices)}
        touched = {s for c in choices for label in self._s.choices[c].labels for s in label}
        touched.update(np.unique(self._atoms[atoms]).tolist())
        tight = [s for s in candidates if s in touched and s != slot and (self._up[s] < 2 or self._down[s] < 2)]
        return sorted(tight, key=lambda s: (-int(self._s.truth[s]), s))

    # ------------------------------------------------------------------------------------- the steps

    def _step(self, slot: int, sign: int) -> bool:
        """Move to a world in which this slot is one more, or one less; False where none was found."""
        if (self._up if sign > 0 else self._down)[slot] < 1:
            return False
        members = self._members.get(slot)
        if members is not None:
            return self._change(members, sign) or self._exchange(slot, members, sign)
        if slot in self._labels_of:
            return self._relabel(slot, sign) or self._change_choosers(slot, sign) or self._exchange_choosers(slot, sign)
        self._shift(slot, sign)  # no table shares it: an access need is said of a contact or not, whatever else it is
        return True

    def _relabel(self, slot: int, sign: int) -> bool:
        """One contact takes a label with this slot instead of another one of the same choice, or the other way."""
        gain, lose = (self._up, self._down) if sign > 0 else (self._down, self._up)
        for choice, k in self._labels_of[slot]:
            label = self._s.choices[choice].labels[k]
            for other in self._s.choices[choice].labels:
                if slot in other:
                    continue
                more, less = [s for s in label if s not in other], [s for s in other if s not in label]
                if all(gain[s] >= 1 for s in more) and all(lose[s] >= 1 for s in less):
                    for s in more:
                        self._shift(s, sign)
                    for s in less:
                        self._shift(s, -sign)
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
        """Add a contact that takes a label with this slot, or remove one."""
        room, choices = (self._up, self._choice_up) if sign > 0 else (self._down, self._choice_down)
        for choice, k in self._labels_of[slot]:
            atoms = self._choosers.get(choice)
            if atoms is None or any(room[s] < 1 for s in self._s.choices[choice].labels[k]):
                continue
            possible = (room[self._atoms[atoms]] >= 1).all(1) & (choices[self._choosing[atoms]] >= 1).all(1)
            if sign < 0:
                possible &= self._counts[atoms] >= 1
            if possible.any():
                self._move(int(atoms[possible.argmax()]), sign, {choice: k})
                return True
        return False

    def _exchange_choosers(self, slot: int, sign: int) -> bool:
        """Add a contact that takes a label with this slot and remove another one, or the other way round."""
        room = self._up if sign > 0 else self._down
        return any(
            self._exchange(slot, self._choosers[choice], sign, (choice, k))
            for choice, k in self._labels_of[slot]
            if choice in self._choosers and all(room[s] >= 1 for s in self._s.choices[choice].labels[k])
        )

    def _exchange(self, slot: int, members: Ints, sign: int, label: tuple[int, int] | None = None) -> bool:
        """Add a contact of one kind and remove one of another, so that what both are counted in stays.

        `label` is a choice and the label of it that the first of them takes.
        """
        present = np.flatnonzero(self._counts >= 1)
        if sign > 0:
            mine, others = members, present
        else:
            mine, others = members[self._counts[members] >= 1], np.arange(len(self._counts))
        if label is None:
            others = others[self._atoms[others, self._family_of[slot]] != slot]
        else:
            others = others[~np.isin(self._choosing[others], self._choices_of[slot]).any(1)]
        room, choices = (self._up, self._choice_up) if sign > 0 else (self._down, self._choice_down)
        there, choices_there = (self._down, self._choice_down) if sign > 0 else (self._up, self._choice_up)
        other_atoms, other_choosing = self._atoms[others], self._choosing[others]
        other_room, other_choices = there[other_atoms] >= 1, choices_there[other_choosing] >= 1
        if len(mine) > _PAIRS_TRIED:
            # Of a year's many kinds those first that the fewest figures hold where they are.
            mine = mine[np.argsort((room[self._atoms[mine]] < 1).sum(1), kind="stable")]
        for atom in mine[:_PAIRS_TRIED].tolist():
            here, chosen = self._atoms[atom], self._choosing[atom]
            possible = ((other_atoms == here) | (other_room & (room[here] >= 1))).all(1)
            same_group = (self._group[chosen] >= 0) & (self._group[other_choosing] == self._group[chosen])
            if label is not None:
                same_group &= chosen != label[0]
            # The contact that goes leaves its label to the one that comes.
            passes = same_group & (self._choice_pass[chosen if sign < 0 else other_choosing] >= 1)
            possible &= (
                (other_choosing == chosen) | passes | (other_choices & (choices[chosen] >= 1) & ~same_group)
            ).all(1)
            if possible.any():
                self._swap(atom, int(others[possible.argmax()]), sign, label)
                return True
        return False

    def _swap(self, atom: int, other: int, sign: int, label: tuple[int, int] | None) -> None:
        taken: dict[int, int] = {} if label is None else {label[0]: label[1]}
        for mine, theirs in zip(self._choosing[atom].tolist(), self._choosing[other].tolist(), strict=True):
            if label is not None and mine == label[0]:
                continue
            if mine == theirs:
                taken[mine] = -1  # the label passes from one to the other
            elif self._group[mine] >= 0 and self._group[mine] == self._group[theirs]:
                goes, comes = (theirs, mine) if sign > 0 else (mine, theirs)
                k = next(
                    k
                    for k, own in enumerate(self._own[goes][: self._s.choices[goes].passing])
                    if own and all(self._down[s] >= 1 for s in own)
                )
                for s in self._own[goes][k]:
                    self._shift(s, -1)
                for s in self._own[comes][k]:
                    self._shift(s, 1)
                taken[goes] = taken[comes] = -1
        self._move(atom, sign, taken)
        self._move(other, -sign, taken)

    def _move(self, atom: int, sign: int, taken: Mapping[int, int] | None = None) -> None:
        """Add or remove one contact of a kind; `taken` names the label of a choice, -1 for one that is not touched."""
        for slot in self._atoms[atom].tolist():
            self._shift(slot, sign)
        room = self._up if sign > 0 else self._down
        for choice in self._choosing[atom].tolist():
            if choice == len(self._s.choices):
                continue
            labels = self._s.choices[choice].labels
            k = (taken or {}).get(choice)
            if k is None:
                free = [k for k, label in enumerate(labels) if all(room[s] >= 1 for s in label)]
                # The most frequent one: of districts it is the one that has areas of every decile.
                k = max(free, key=lambda k: int(self._s.truth[labels[k][0]]))
            if k >= 0:
                for slot in labels[k]:
                    self._shift(slot, sign)
        self._counts[atom] += sign
        self._undo.append(("atom", atom, -sign))

    def _shift(self, slot: int, by: int) -> None:
        self._up[slot] -= by
        self._down[slot] += by
        self._undo.append(("slot", slot, -by))
        for choice in self._choices_of.get(slot, ()):
            self._measure(choice)

    def _back(self) -> None:
        """Return to the true world."""
        undo, self._undo = self._undo[::-1], []
        for what, which, by in undo:
            if what == "atom":
                self._counts[which] += int(by)
            else:
                self._shift(which, int(by))
        self._undo = []


def _places(column: Ints, nobody: int) -> dict[int, Ints]:
    """Where each number below `nobody` stands in a column, in order."""
    order = np.argsort(column, kind="stable")
    found, starts = np.unique(column[order], return_index=True)
    places = zip(found.tolist(), np.split(order, starts[1:]), strict=True)
    return {number: where for number, where in places if number < nobody}


def audit(structure: Structure, targets: Iterable[int], low: Floats, high: Floats, candidates: set[int]) -> set[int]:
    """The candidates that must be withheld so that every target is safe.

    `targets` are the slots whose true count is small. What is withheld only widens what is possible, so a target
    found safe stays safe. Where all candidates together do not suffice, all are withheld.
    """
    worlds = Audit(structure, low, high)
    withheld: set[int] = set()
    for target in targets:
        if not worlds.is_safe(target):
            withheld |= _protect(worlds, target, candidates - withheld)
    return withheld


def _protect(worlds: Audit, target: int, candidates: set[int]) -> set[int]:
    """The candidates withheld for one count: one if one is enough, else no more than are needed together."""
    # The count itself first: instead of `*` it says `w`, and no number is lost.
    near = [target] * (target in candidates) + worlds.blockers(target, candidates)
    if (one := next((slot for slot in near if worlds.would_help(slot, target)), None)) is not None:
        worlds.withhold(one)
        return {one}
    for several in (near, sorted(candidates)):
        for slot in several:
            worlds.withhold(slot)
        if worlds.is_safe(target):
            break
    else:
        return set(candidates)  # what was published before tells too much already: nothing is added to it
    kept = set(several)
    for slot in sorted(several, key=worlds.size, reverse=True):
        worlds.publish(slot)
        if worlds.is_safe(target):
            kept.discard(slot)
        else:
            worlds.withhold(slot)
    return kept
