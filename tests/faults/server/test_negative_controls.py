"""Planted mistakes: the same bench and the same verdict must find each of them out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.server import mistakes
from tests.faults.server.bench import DAY_S, INGEST_HOST, Bench, Setting, Spoil, bench
from tests.faults.server.line import unknown_name
from tests.faults.server.verdict import heal_and_judge
from tests.model.simulation_books import Broken

ELSEWHERE = "cd67890.ingest.eu.snowflakecomputing.com"


def fault(*specs: str) -> Callable[[Bench], None]:
    """The weather that brings a mistake to light: half a minute of peace, then these faults."""

    def play(device: Bench) -> None:
        device.run(30)
        device.add(*specs)
        device.run(400)

    return play


def moved_for_good(device: Bench) -> None:
    """The pipe moves to another host; the old one says 410 and is gone soon after."""
    device.run(30)
    device.add("failed_over:times=3")
    device.service.hostname = ELSEWHERE
    device.run(300)


def a_quiet_week(device: Bench) -> None:
    """Nothing to send for a week, where channels live for five days without a row."""
    device.hush()
    device.run(60)
    device.exchange.add(f"idle_expiry:s={5 * DAY_S:.0f}")
    device.run(7 * DAY_S, coarse_s=900.0)
    if device.model.tally.opens > 1:
        raise Broken("an idle channel was lost")


@dataclass(frozen=True, slots=True)
class Control:
    """One mistake and what brings it to light.

    Attributes:
        spoil: plants it.
        weather: what the server does.
        finds: part of what the verdict says.
    """

    spoil: Spoil
    weather: Callable[[Bench], None]
    finds: str


CONTROLS = {
    "believe any 200": Control(
        mistakes.believe_any_200, fault("captive_portal:endpoint=append,times=5"),
        "was acknowledged, and is not in the table",
    ),
    "follow redirects": Control(
        mistakes.follow_redirects, fault("redirect:endpoint=append,times=3"),
        "was acknowledged, and is not in the table",
    ),
    "retry under a fresh token": Control(
        mistakes.retry_under_a_fresh_token, fault("drop_reply:endpoint=append,times=2"),
        "is there 2 times|came after",
    ),
    "give up on 401": Control(
        mistakes.give_up_on_401, fault("unauthorized:endpoint=append"), "not acknowledged",
    ),
    "ignore Retry-After": Control(
        mistakes.ignore_retry_after, fault("throttle:endpoint=append,retry_after=120"),
        "asked for 120 s of patience",
    ),
    "treat 410 as 404": Control(
        mistakes.treat_410_as_404, moved_for_good, "not acknowledged",
    ),
    "retry at once": Control(
        mistakes.retry_at_once, fault("unavailable:times=0"), "requests in an hour",
    ),
    "wait for every byte": Control(
        mistakes.wait_for_every_byte, fault("drip:endpoint=status,times=1,bytes_per_s=0.5"),
        "one step took",
    ),
    "send no heartbeat": Control(
        mistakes.send_no_heartbeat, a_quiet_week, "an idle channel was lost",
    ),
    "recut under a used token": Control(
        mistakes.recut_the_batch, fault("drop_reply:endpoint=append,times=4"),
        "other rows went out under a consumed token",
    ),
}


def honest_to(control: Control) -> Setting:
    """The bench of a control, without its mistake."""
    quiet = control.weather is a_quiet_week
    return Setting(sample_s=5.0, care_s=3600.0 if quiet else 10.0, seed=17)


def judged(device: Bench, control: Control) -> None:
    """The weather and the verdict."""
    control.weather(device)
    if control.weather is moved_for_good:
        device.exchange.heal()
        device.service.hostname = ELSEWHERE
        device.hush()
        device.run(60)
        # The old host is gone for good; healing does not bring it back.
        device.line.gone.add(INGEST_HOST)
    heal_and_judge(device)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_planted_mistake_is_found_out(room: Path, ca_file: Path, name: str) -> None:
    """The honest shipper passes under that weather; the spoiled one does not, for that reason."""
    control = CONTROLS[name]
    honest, spoiled = room / "honest", room / "spoiled"
    honest.mkdir()
    spoiled.mkdir()
    setting = honest_to(control)
    with bench(honest, ca_file, setting) as device:
        judged(device, control)
    made = Setting(
        sample_s=setting.sample_s, care_s=setting.care_s, seed=setting.seed, spoil=control.spoil
    )
    with (
        pytest.raises(AssertionError, match=control.finds),
        bench(spoiled, ca_file, made) as device,
    ):
        judged(device, control)


def test_a_line_without_the_host_is_a_fault_too(room: Path, ca_file: Path) -> None:
    """The bench itself: a host that is gone cannot be connected to."""
    with bench(room, ca_file, Setting(sample_s=5.0, seed=1)) as device:
        device.line.troubles[INGEST_HOST] = unknown_name
        device.run(120)
        assert device.shipper.acknowledged() == 0
        heal_and_judge(device)
