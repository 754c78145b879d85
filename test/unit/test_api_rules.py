from unittest.mock import Mock

import pytest

from execution_engine.api import sharing
from execution_engine.api.callers import Rules
from execution_engine.api.methods import native_registry
from execution_engine.app import contract
from execution_engine.config import Settings


@pytest.fixture
def engine() -> Mock:
    return Mock(settings=Settings())


def test_every_method_of_the_contract_is_bound_and_says_who_may_call_it(engine: Mock) -> None:
    registry = native_registry(engine, contract())
    registry.check_complete()
    assert [method.function.name for method in registry.methods_in_order() if not method.access.description] == []
    rules = {access.name: access for access in vars(Rules(engine)).values()}
    assert {method.access.name for method in registry.methods_in_order()} == rules.keys()


def test_a_method_without_a_rule_keeps_the_service_from_starting(engine: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    def register(*_: object) -> None:
        """Forgets all of its methods."""

    monkeypatch.setattr(sharing, "register", register)
    registry = native_registry(engine, contract())
    with pytest.raises(ValueError, match="bound to no code: share_job, unshare_job, hide_job, unhide_job"):
        registry.check_complete()
