"""`archc.records.dataclass` against the standard library's."""

import copy
import dataclasses
import pickle

import pytest

from archc import records


def _declared(dataclass):
    @dataclass(frozen=True, slots=True)
    class Point:
        """A point."""

        x: int
        y: float = 2.0
        tags: dict = records.field(default_factory=dict, compare=False, repr=False)

        @property
        def both(self):
            return self.x, self.y

    return Point


STANDARD, OURS = _declared(dataclasses.dataclass), _declared(records.dataclass)


@records.dataclass(frozen=True, slots=True)
class Pair:
    """Of this module, so that it can be pickled."""

    left: object
    right: object = None


@pytest.mark.parametrize("point", [STANDARD, OURS], ids=["standard", "ours"])
class TestBoth:
    def test_fields_and_defaults(self, point):
        one = point(1)
        assert (one.x, one.y, one.tags, one.both) == (1, 2.0, {}, (1, 2.0))
        assert point(1).tags is not one.tags
        assert point(x=3, y=4).x == 3
        assert [f.name for f in dataclasses.fields(point)] == ["x", "y", "tags"]
        assert point.__slots__ == ("x", "y", "tags") and not hasattr(one, "__dict__")
        assert point.__doc__ == "A point." and point.__match_args__ == ("x", "y", "tags")

    def test_equality_and_hash_leave_out_what_is_not_compared(self, point):
        assert point(1, tags={"a": 1}) == point(1) != point(2)
        assert hash(point(1, tags={"a": 1})) == hash(point(1))
        assert point(1) != (1, 2.0)

    def test_nothing_can_be_changed(self, point):
        one = point(1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.x = 2
        with pytest.raises(dataclasses.FrozenInstanceError):
            del one.x

    def test_it_is_shown_replaced_and_copied(self, point):
        one = point(1)
        assert repr(one).endswith("Point(x=1, y=2.0)")
        assert dataclasses.replace(one, y=3.0) == point(1, 3.0)
        assert dataclasses.asdict(one) == {"x": 1, "y": 2.0, "tags": {}}
        assert copy.copy(one) == copy.deepcopy(one) == one

    def test_what_is_missing_or_unknown_is_refused(self, point):
        with pytest.raises(TypeError, match="x"):
            point()
        with pytest.raises(TypeError, match="z"):
            point(1, z=2)


def test_pickling():
    assert pickle.loads(pickle.dumps(Pair(1, "a"))) == Pair(1, "a")


def test_one_field_is_compared_as_in_a_tuple():
    @records.dataclass(frozen=True, slots=True)
    class One:
        value: object

    nan = float("nan")
    assert One(nan) == One(nan) and hash(One(3)) == hash(One(3))


def test_identity_instead_of_equality():
    @records.dataclass(frozen=True, slots=True, eq=False)
    class Token:
        name: str

    one = Token("a")
    assert one == one and one != Token("a") and len({one, Token("a")}) == 2


def _changing(dataclass):
    @dataclass(slots=True)
    class Open:
        value: int
        seen: list = records.field(default_factory=list)
        cache: object = records.field(default=None, init=False, repr=False, compare=False)
        names: set = records.field(default_factory=set, init=False, repr=False)
        twice: int = records.field(init=False)

        def __post_init__(self):
            self.twice = 2 * self.value

    return Open


@pytest.mark.parametrize("dataclass", [dataclasses.dataclass, records.dataclass])
def test_records_that_change(dataclass):
    kind = _changing(dataclass)
    one = kind(1)
    assert (one.cache, one.names, one.twice, one.seen) == (None, set(), 2, [])
    one.value, one.cache = 2, 5
    assert one != kind(2) and repr(one).endswith("Open(value=2, seen=[], twice=2)")
    one.twice = 4
    assert one == kind(2) and one.names is not kind(2).names and kind(3, [7]).seen == [7]
    assert copy.deepcopy(one) == one and dataclasses.replace(one, value=9).twice == 18
    assert not hasattr(one, "__dict__")
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    with pytest.raises(TypeError, match="cache"):
        kind(1, cache=3)
    del one.value
    with pytest.raises(AttributeError, match="value"):
        _ = one.value


def test_a_constructor_is_compiled_when_the_first_record_is_made():
    @records.dataclass(frozen=True, slots=True)
    class Late:
        value: int

    first = Late.__init__
    with pytest.raises(TypeError, match="value"):
        Late()
    second = Late.__init__
    assert first is not second and Late(1) == Late(value=1) and Late.__init__ is second


def test_what_has_no_slots_is_made_by_the_standard_decorator():
    @records.dataclass
    class Plain:
        value: int = records.field(default=1, init=False)

    assert Plain().value == 1 and hasattr(Plain(), "__dict__")
    assert records.dataclass is not dataclasses.dataclass
