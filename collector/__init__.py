"""The collector: samples the sensors and stores every tick in the spool; no network, no key.

Imports run one way: ``cli > app > sampling > health, schedule, drivers > bus``. Only ``app`` names
``bus.linux``; drivers know a ``Bus`` and nothing of files, clocks or processes.
"""
