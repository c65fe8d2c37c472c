"""Where the programs of a build tree lie, and how the bench speaks while it works."""
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Programs:
    ficus: Path
    answer_upstream: Path
    bench_client: Path
    generic_proxy: Path

    @classmethod
    def of_build_tree(cls, build):
        bench = build.resolve() / "tests" / "bench"
        return cls(build.resolve() / "facade" / "ficus", bench / "answer_upstream", bench / "bench_client", bench / "generic_proxy")


def say(text):
    """Progress: to stderr, at once."""
    print(text, file=sys.stderr, flush=True)
