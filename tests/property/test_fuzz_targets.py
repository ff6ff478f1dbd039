"""What `make fuzz` feeds millions of inputs is sound itself: each target takes its seeds, and inputs near them."""

from random import Random

import pytest

from fuzz.readers import slow
from fuzz.seeds import SEEDS, words
from fuzz.targets import EVERY, TARGETS


def near(seed: bytes, chance: Random) -> bytes:
    """A seed with a few bytes changed, taken out, or put in twice."""
    data = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(3):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case _:
                data[at:at] = data[at : at + chance.randint(1, 8)]
    return bytes(data)


@pytest.mark.parametrize("name", EVERY)
def test_every_target_takes_its_seeds_and_inputs_near_them(name: str) -> None:
    told, chance, seeds = TARGETS[name], Random(2026), SEEDS[name]()
    for seed in seeds:
        assert len(seed) <= told.longest
        told.target(seed)
    for _ in range(10):
        told.target(near(chance.choice(seeds), chance))


def test_a_target_that_fails_is_seen_to_fail() -> None:
    with pytest.raises(AssertionError, match="found"):
        slow(b"crash")


def test_words_to_mutate_with_come_from_the_seeds() -> None:
    assert b"postcode" in words("enrichment")
