"""One life of a channel by the official SDK; a program, run by ``test_official_sdk``.

Reads the SDK's profile as JSON from standard input, prints what it found as one JSON line.
"""

import json
import sys
from typing import Any

from snowflake.ingest.streaming import StreamingIngestClient

COMMIT_TIMEOUT_S = 30
CHANNEL = "lower chan/x"


def reached(seq: int) -> Any:
    """Whether a committed token has come to this number."""
    return lambda token: token is not None and int(token) >= seq


def main() -> None:
    """Open, append 1 to 100, wait, close, reopen, append 101 to 120, wait, drop, open again."""
    client = StreamingIngestClient(
        "cycle", "DB", "SCHEMA", "T-STREAMING", properties=json.load(sys.stdin)
    )
    found: dict[str, Any] = {}
    channel, status = client.open_channel(CHANNEL)
    found["first_token"] = status.latest_committed_offset_token
    channel.append_rows([{"SEQ": seq} for seq in range(1, 51)], "1", "50")
    for seq in range(51, 101):
        channel.append_row({"SEQ": seq}, str(seq))
    channel.wait_for_commit(reached(100), COMMIT_TIMEOUT_S)
    found["committed"] = channel.get_latest_committed_offset_token()
    status = channel.get_channel_status()
    found["status"] = [status.status_code, status.rows_inserted_count, status.rows_error_count]
    channel.close()

    channel, status = client.open_channel(CHANNEL)
    found["reopened_token"] = status.latest_committed_offset_token
    channel.append_rows([{"SEQ": seq} for seq in range(101, 121)], "101", "120")
    channel.wait_for_commit(reached(120), COMMIT_TIMEOUT_S)
    found["committed_after_reopen"] = channel.get_latest_committed_offset_token()
    client.drop_channel(CHANNEL)

    channel, status = client.open_channel(CHANNEL)
    found["fresh_token"] = status.latest_committed_offset_token
    channel.close()
    client.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
