"""The protocol towards Snowpipe Streaming v2 as pure state and pure functions.

Nothing here opens a socket or a file, reads a clock, draws a random number or logs: what happens
comes in as values, what is to be done goes out as values, and ``shipper.drain`` does it. So the
whole protocol runs inside a simulation (``tests/model``) exactly as it runs on a device.
"""
