"""The relay benchmark's parts: host (processes, clocks, ports), proxies, load, stats, report. run_bench.py joins them."""
