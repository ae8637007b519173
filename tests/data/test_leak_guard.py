import pytest

from polyvec.data.leak_guard import LeakageError, refuse_leakage
from polyvec.errors import BadInput


def test_what_shares_nothing_passes():
    refuse_leakage(["a", "b"], ["c"], "pages")
    refuse_leakage([], ["c"], "pages")
    refuse_leakage(iter(["a"]), iter([]), "pages")


def test_the_first_of_what_leaked_are_named_in_order():
    with pytest.raises(LeakageError, match=r"^4 pages: 'a', 'b', 'c' …; leave them out of one"):
        refuse_leakage("edcba", "abcdx", "pages")


def test_a_leak_is_bad_input():
    with pytest.raises(BadInput, match=r"^1 pages of both: 'a'; "):
        refuse_leakage(["a"], ["a", "a"], "pages of both")
