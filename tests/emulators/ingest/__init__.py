"""A stand-in for Snowpipe Streaming's high-performance REST service (v2), for tests only.

``model`` holds the server's state and rules and can be used without a socket; ``server`` puts it
behind TLS. ``BEHAVIOUR.md`` says where each behaviour comes from and what none of this can prove.
"""
