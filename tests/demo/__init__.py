"""The demo: both services on emulated chips and an emulated server, killed on the way."""
