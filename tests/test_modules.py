"""Learning-rate schedules."""

import pytest

from drpnet.errors import InputError
from drpnet.modules import _schedule


def test_schedules_start_at_the_full_rate_and_end_as_they_say():
    for name, end in (("constant", 1.0), ("cosine", 0.0), ("drop", 0.1)):
        factor = _schedule(name, 100)
        assert factor(0) == 1.0 and factor(100) == pytest.approx(end)
        rates = [factor(step) for step in range(101)]
        assert rates == sorted(rates, reverse=True)
    assert [_schedule("drop", 100)(step) for step in (49, 50)] == [1.0, 0.1]


def test_an_unknown_schedule_is_refused_in_words():
    with pytest.raises(InputError, match="'linear'; use 'constant', 'cosine' or 'drop'"):
        _schedule("linear", 10)
