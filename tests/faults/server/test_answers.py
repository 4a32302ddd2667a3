"""Answers that need judgement: throttling, sign-in, redirects of time, tokens."""

from pathlib import Path

import pytest

from tests.demo.material import make_key
from tests.emulators.ingest.auth import Policy
from tests.faults.server.bench import HOUR_S, Bench, Setting, bench
from tests.faults.server.verdict import WISH_MAX_S, heal_and_judge

STEADY = Setting(sample_s=5.0, seed=21)


def pause_after(device: Bench, status: int) -> float:
    """Seconds between the last answer of that status and the next request."""
    calls = device.line.calls
    last = max(i for i, call in enumerate(calls) if call.status == status)
    return calls[last + 1].at_s - calls[last].at_s


@pytest.mark.parametrize(
    ("wish", "least_s", "most_s"),
    [
        ("7", 7, 9), ("0", 0, 2), ("date:120", 119, 134), ("date:-50", 0, 2), ("", 0, 2.5),
        ("86400000", WISH_MAX_S, WISH_MAX_S * 1.11), ("soon", 0, 2.5), ("-5", 0, 2.5),
    ],
)
@pytest.mark.parametrize("endpoint", ["hostname", "token", "open", "append", "status"])
def test_a_wish_is_granted_within_reason(
    room: Path, ca_file: Path, endpoint: str, wish: str, least_s: float, most_s: float
) -> None:
    """Retry-After in seconds or as a date wins, also while signing in; an absurd one is cut."""
    with bench(room, ca_file, STEADY) as device:
        device.add(f"throttle:endpoint={endpoint},retry_after={wish}")
        device.run(30 + most_s)
        assert least_s <= pause_after(device, 429) <= most_s
        heal_and_judge(device)


@pytest.mark.parametrize("years", [-10, 10])
def test_a_date_is_read_by_the_servers_clock(room: Path, ca_file: Path, years: int) -> None:
    """The device's wall clock is years wrong; the wait is what the server meant."""
    with bench(room, ca_file, STEADY) as device:
        device.clock.step(years * 365 * 86_400)
        device.add("unavailable:endpoint=append,retry_after=date:300")
        device.run(400)
        assert 299 <= pause_after(device, 503) <= 332
        heal_and_judge(device)


@pytest.mark.parametrize("name", ["unauthorized", "forbidden"])
def test_one_refused_token_costs_a_sign_in_and_nothing_else(
    room: Path, ca_file: Path, name: str
) -> None:
    """The same batch goes again at once under a new token; the channel is not opened anew."""
    with bench(room, ca_file, STEADY) as device:
        device.run(30)
        before = device.line.calls[-1].token
        device.add(f"{name}:endpoint=append")
        device.run(30)
        assert device.line.calls[-1].token != before
        assert device.model.tally.opens == 1
        assert pause_after(device, 401 if name == "unauthorized" else 403) < 1
        heal_and_judge(device)


def test_a_key_that_is_refused_for_hours(room: Path, ca_file: Path) -> None:
    """401 for ever, everywhere: alive, patient, told; when it is mended, everything comes home."""
    with bench(room, ca_file, Setting(sample_s=300.0, care_s=60.0, seed=4)) as device:
        device.run(60)
        device.add("unauthorized:times=0")
        before = len(device.line.calls)
        device.run(6 * HOUR_S)
        assert len(device.line.calls) - before < 1500
        assert any("unauthorized" in text for text in device.said)
        assert any("check [snowflake] account, user and role" in text for text in device.said)
        heal_and_judge(device)


def test_tokens_that_live_a_minute_are_renewed_before_they_die(room: Path, ca_file: Path) -> None:
    """``exp`` is read: not one request is refused, however short the life."""
    policy = Policy(token_lifetime_s=60.0)
    with bench(room, ca_file, Setting(sample_s=5.0, policy=policy, seed=8)) as device:
        device.run(1800)
        assert [call for call in device.line.calls if call.status == 401] == []
        assert len({call.token for call in device.line.calls}) > 30
        heal_and_judge(device)


def test_a_token_that_is_revoked_in_the_middle_of_a_batch(room: Path, ca_file: Path) -> None:
    """401 is a certain refusal: the same bytes and id again, under the same continuation token."""
    with bench(room, ca_file, STEADY) as device:
        device.run(30)
        device.add("revoke_tokens:endpoint=append,times=5")
        device.run(900)
        refused = [seen for seen in device.exchange.requests if seen.status == 401]
        taken = {seen.request_id for seen in device.exchange.requests if seen.status == 200}
        assert len(refused) == 5
        assert {seen.request_id for seen in refused} <= taken
        assert device.model.tally.opens == 1
        heal_and_judge(device)


@pytest.mark.parametrize("days", [-4000, 30])
def test_a_wrong_clock_can_still_sign_in(room: Path, ca_file: Path, days: int) -> None:
    """The server's Date is learnt from its refusal; a key pair then signs with the right time."""
    make_key(room / "key.pem", room / "key.pub")
    policy = Policy(public_key_pem=(room / "key.pub").read_bytes(), max_skew_s=60.0)
    setting = Setting(sample_s=5.0, policy=policy, key_file=room / "key.pem", seed=9)
    with bench(room, ca_file, setting) as device:
        device.clock.step(days * 86_400)
        device.run(120)
        assert device.shipper.acknowledged() > 10
        assert len([call for call in device.line.calls if call.status == 401]) <= 1
        heal_and_judge(device)


def test_a_wrong_key_is_not_taken_for_a_wrong_clock(room: Path, ca_file: Path) -> None:
    """The right time and the wrong key: refused for hours, slowly, with the remedy in the line."""
    make_key(room / "key.pem", room / "key.pub")
    make_key(room / "other.pem", room / "other.pub")
    policy = Policy(public_key_pem=(room / "key.pub").read_bytes())
    setting = Setting(sample_s=60.0, care_s=60.0, policy=policy, key_file=room / "key.pem", seed=9)
    with bench(room, ca_file, setting) as device:
        policy.public_key_pem = (room / "other.pub").read_bytes()
        device.run(0.5 * HOUR_S)
        assert device.shipper.acknowledged() == 0
        assert len(device.line.calls) < 150
        assert any("thermal-shipper pubkey" in text for text in device.said)
        heal_and_judge(device)


def test_a_lost_answer_is_asked_for_with_the_same_bytes(room: Path, ca_file: Path) -> None:
    """Same token, same id, same bytes: the server absorbs it, and the row is there once."""
    with bench(room, ca_file, STEADY) as device:
        device.run(30)
        device.add("drop_reply:endpoint=append,times=2;duplicate:endpoint=append,skip=3,times=5")
        device.run(120)
        tally = device.model.tally
        assert tally.noops_identical >= 3
        assert tally.noops_new_request_id == tally.noops_different == 0
        heal_and_judge(device)
