"""The audit: device and server held against each other, read-only."""
