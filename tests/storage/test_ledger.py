"""The ledger in memory keeps the laws of ledgers."""

import pytest

from tests.contracts.ledger import LedgerContract, MemoryHouse


class TestMemoryLedger(LedgerContract):
    @pytest.fixture
    def house(self) -> MemoryHouse:
        return MemoryHouse()
