"""The one signer: when it signs, with which time, and that nobody else does."""

import json
import threading
from typing import Any

import pytest

from common.errors import ConfigError, PermissionRefused, ThermalError
from shipper.auth.secret import Secret
from shipper.auth.server_time import ServerTime
from shipper.auth.signer import LIFE_S, RENEW_BEFORE_S, Signer, SigningKey
from tests.emulators.clock import ManualClock


class FakeChild:
    """Stands for the signing child: notes what it was asked, and answers at once."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.refusal: dict[str, Any] | None = None

    def __call__(self, module: str, stdin: bytes, timeout_s: float) -> bytes:
        """See ``common.children.run_module``."""
        assert module == "shipper.auth.sign"
        self.asked.append(json.loads(stdin))
        number = len(self.asked)
        return json.dumps(
            self.refusal or {"token": f"token-{number}", "fingerprint": "SHA256:x"}
        ).encode()

    @property
    def issued(self) -> list[int]:
        """``iat`` of every token."""
        return [asked["claim"]["issued_at"] for asked in self.asked]


def hide(secret: str, /, *, slot: str = "") -> None:
    """A log that is not there."""


def make(clock: ManualClock) -> tuple[Signer, FakeChild, ServerTime]:
    """A signer with a fake child."""
    child, time = FakeChild(), ServerTime(clock)
    key = SigningKey(key_file="/key")
    claim = {"account": "A", "user": "U", "role": ""}
    return Signer(key, claim, time, clock, child, hide), child, time


def http_date(clock: ManualClock, ahead_s: float) -> str:
    """The ``Date`` of a server whose clock is ahead of ours."""
    from email.utils import formatdate

    return formatdate(clock.realtime_ns() / 1e9 + ahead_s, usegmt=True)


def test_a_day_at_one_call_a_second_takes_27_signatures() -> None:
    """59 minutes of life, renewed 5 minutes early, never expired in between."""
    clock = ManualClock()
    signer, child, _ = make(clock)
    for _ in range(86_400):
        assert signer.signed().expires_s - clock.realtime_ns() // 10**9 >= RENEW_BEFORE_S
        clock.advance(1)
    assert len(child.asked) == 27


def test_signing_late_would_be_noticed() -> None:
    """Negative control: renewing only at the end of life would make it 25, and leave gaps."""
    renewals = {86_400 // (LIFE_S - margin) + 1 for margin in (0, RENEW_BEFORE_S)}
    assert renewals == {25, 27}


def test_many_threads_cause_one_signature() -> None:
    """The signer is under a lock."""
    signer, child, _ = make(ManualClock())
    threads = [threading.Thread(target=signer.signed) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(child.asked) == 1


@pytest.mark.parametrize("ahead_s", [-40 * 365 * 86_400, -3600.0, 90.0, 86_400.0])
def test_a_wrong_clock_signs_with_the_servers_time(ahead_s: float) -> None:
    """``iat`` comes from the server's Date once that is known, however wrong ours is."""
    clock = ManualClock()
    signer, child, time = make(clock)
    first = signer.signed()
    assert not signer.signed_at_wrong_time()
    time.learn(http_date(clock, ahead_s))
    assert signer.signed_at_wrong_time()
    signer.forget()
    assert signer.signed().issued_s == pytest.approx(first.issued_s + ahead_s, abs=1)
    assert not signer.signed_at_wrong_time()
    assert len(child.asked) == 2


def test_a_step_of_the_wall_clock_changes_nothing_once_the_server_told_its_time() -> None:
    """Neither the age of a token nor the next ``iat`` follows a clock that NTP sets."""
    clock = ManualClock()
    signer, child, time = make(clock)
    time.learn(http_date(clock, 0))
    signer.signed()
    clock.step(-50 * 86_400)
    signer.signed()
    assert len(child.asked) == 1
    clock.advance(LIFE_S)
    signer.signed()
    assert child.issued[1] - child.issued[0] == pytest.approx(LIFE_S, abs=1)


def test_a_suspended_machine_does_not_present_an_old_token() -> None:
    """Life is counted on a clock that goes on while the machine sleeps."""
    clock = ManualClock()
    signer, child, _ = make(clock)
    signer.signed()
    clock.suspend(LIFE_S)
    signer.signed()
    assert len(child.asked) == 2


@pytest.mark.parametrize(
    ("code", "kind"), [(78, ConfigError), (77, PermissionRefused), (70, ThermalError)]
)
def test_the_childs_refusal_is_raised_as_it_was_meant(code: int, kind: type[ThermalError]) -> None:
    """Message, remedy and exit status survive the way through the pipe."""
    signer, child, _ = make(ManualClock())
    child.refusal = {"error": "no good", "hint": "mend it", "exit_code": code}
    with pytest.raises(kind, match="no good") as caught:
        signer.signed()
    assert caught.value.hint == "mend it"


def test_secrets_go_to_the_child_on_stdin_and_never_into_a_repr() -> None:
    """The key of an SDK profile and its passphrase are texts; they are shown nowhere."""
    key = SigningKey(key=Secret("planted-key"), passphrase=Secret("planted-phrase"))
    assert json.loads(key.request(None))["passphrase"] == "planted-phrase"
    assert "planted" not in repr(key) + f"{key.key} {key.passphrase!s:>20}"


@pytest.mark.parametrize(
    ("date", "age"),
    [(None, None), ("yesterday", None), ("", None), ("Fri, 99 Nov 2026 00:00:00 GMT", None),
     ("Fri, 20 Nov 2026 00:00:00 GMT", "17")],
)
def test_a_useless_date_teaches_nothing(date: str | None, age: str | None) -> None:
    """No header, nonsense, or an answer out of a cache."""
    clock = ManualClock()
    time = ServerTime(clock)
    time.learn(date, age)
    clock.step(1000)
    assert time.now_s() == clock.realtime_ns() / 1e9
    assert time.skew_s() == 0
