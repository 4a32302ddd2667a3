"""What only the collector may do is asked for through the shipper's own file (rule 3)."""

from pathlib import Path

from tests.tools.spools import Device, drain, samples


def test_rule_03_a_requested_install_is_made_while_running(tmp_path: Path) -> None:
    """The shipper asks through its own file; the collector starts a new install, seq from 1."""
    device = Device(tmp_path)
    with device.start() as store, device.ledger() as ledger:
        store.append(samples(0, 3))
        ledger.settle(store.install, 0)
        ledger.request("new_install", "R5")
        old = store.install
        store.renew()
        assert store.install.install_id != old.install_id
        assert [row.seq for row in drain(device.reader())] == [1]
        store.renew()
        assert store.append(samples(3, 1)) == range(2, 3), "a foreign request is not honoured again"


def test_rule_03_a_requested_epoch_is_made_once(tmp_path: Path) -> None:
    """The shipper asks for an epoch, sees it honoured by id, and it is not made twice."""
    device = Device(tmp_path)
    with device.start() as store, device.ledger() as ledger:
        store.append(samples(0, 3))
        ledger.settle(store.install, 0)
        name = ledger.request("new_epoch", "R3")
        before = store.epoch
        store.renew()
        assert store.epoch != before
        assert device.reader().honoured_requests() == {name}
        after = store.epoch
        store.renew()
        assert store.epoch == after
