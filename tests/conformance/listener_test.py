"""ficus's listener against every case of the suite, strictly: ficus serve before the bench's answering upstream.

FICUS_BINARY and ANSWER_UPSTREAM_BINARY come from ctest. Arguments go to h2_conformance.py (`--only 6.9 --verbose`).
"""

import os
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import json  # noqa: E402

import h2_conformance  # noqa: E402
from ficus_harness import Ficus, pass_through_policy, wait_until  # noqa: E402


def start_upstream(directory):
    ports = os.path.join(directory, "upstream.json")
    process = subprocess.Popen([os.environ["ANSWER_UPSTREAM_BINARY"], "--port-file", ports], stdout=subprocess.DEVNULL)
    if not wait_until(lambda: os.path.exists(ports) or process.poll() is not None) or process.poll() is not None:
        process.kill()
        raise AssertionError("the upstream did not start")
    with open(ports, encoding="utf-8") as file:
        return process, json.load(file)["listen"]


def main():
    with tempfile.TemporaryDirectory(prefix="ficus-conformance-") as directory:
        upstream, address = start_upstream(directory)
        try:
            # Eight jobs of up to 256 open calls each, on one worker if it comes to it: the suite's own calls must not be
            # what uses the upstream's limit up.
            policy = pass_through_policy(address).replace('"]}', '"], max_concurrent_requests: 16384}')
            # HTTP/2 lets a client PING as often as it likes; that ficus does not by default is tests/e2e/manners_test's.
            ficus = Ficus(policy, workers=2, flags=("--min-ping-interval", "0"))
            # Silence is only ever a failure, so a long patience costs time only where a case fails: sanitizers and busy
            # machines need it. A case that is silent on a machine at rest was so after the suite's own two seconds too.
            result = h2_conformance.main(["--target", ficus.address, "--strict", "--patience", "6", "--jobs", "8",
                                          *sys.argv[1:]])
            alive = ficus.process.poll() is None
            ficus.stop()
            if not alive:
                print("ficus ended within the suite")
                result = 1
            return result
        finally:
            upstream.send_signal(signal.SIGTERM)
            upstream.wait()


if __name__ == "__main__":
    sys.exit(main())
