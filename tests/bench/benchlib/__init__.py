"""The parts of tests/bench/proxies: servers.py starts, load.py measures, report.py writes down."""
