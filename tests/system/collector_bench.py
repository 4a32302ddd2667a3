"""What the tests of the collector's process share: its settings and its environment."""

from typing import Final

from tests.demo.material import Places

INTERVAL_S: Final = 0.2


def settings(places: Places, bus: str, port: int = 0) -> None:
    """Write a configuration for rows every 0.2 s."""
    places.config.write_text(
        f"""
[device]
id = "bench"
board_serial_file = "{places.root}/board-serial"
card_serial_file = "{places.root}/card-serial"
[spool]
directory = "{places.spool}"
free_reserve_bytes = 0
[collector]
i2c_bus = "{bus}"
interval_s = {INTERVAL_S}
store_interval_s = 0.4
metrics_port = {port}
"""
    )


def runtime(places: Places) -> dict[str, str]:
    """What systemd puts into the environment."""
    return {"RUNTIME_DIRECTORY": str(places.runtime)}
