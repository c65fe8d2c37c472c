"""Where the programs of a build tree lie, and how the bench speaks while it works."""
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Programs:
    ficus: Path
    answer_upstream: Path

    @classmethod
    def of_build_tree(cls, build):
        build = build.resolve()
        return cls(build / "facade" / "ficus", build / "tests" / "bench" / "answer_upstream")


def say(text):
    """Progress: to stderr, at once."""
    print(text, file=sys.stderr, flush=True)
