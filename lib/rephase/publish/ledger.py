"""The claims tables: one folder a scale, and the page that a reader opens first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from rephase.judge.claims import Claim, Verdict, read_claims, read_verdicts, write_verdicts
from rephase.publish.files import write_text
from rephase.publish.tables import rounded, significant_decimals, write_table

SCALES = ("smoke", "laptop", "gpu", "paper")
START, END = "<!-- claims: begin -->", "<!-- claims: end -->"


def claims_frame(claims: dict[str, Claim], verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row a verdict: the claim, its value in the paper, ours with its interval, the outcome."""
    rows = []
    columns = ["claim", "paper", "statement", "test", "measured", "seeds", "verdict", "reason"]
    for one in verdicts:
        claim = claims[one.claim]
        rows.append(
            {
                "claim": one.claim,
                "paper": claim.paper,
                "statement": claim.statement,
                "test": describe(claim),
                "measured": measured(one),
                "seeds": str(one.n_seeds),
                "verdict": one.outcome,
                "reason": one.reason or "",
            }
        )
    return pd.DataFrame(rows, columns=columns)


def describe(claim: Claim) -> str:
    """The test of a claim as a few words."""
    test = claim.test
    words = {
        "interval": lambda: f"{claim.paper_value:g} ± {test.margin:g}",
        "ratio": lambda: f"{claim.paper_value:g} within a factor {test.factor:g}",
        "at_least": lambda: f"at least {test.threshold:g}",
        "at_most": lambda: f"at most {test.threshold:g}",
        "order": lambda: "above 0",
        "trend": lambda: test.direction,
        "equivalence": lambda: f"0 ± {test.margin:g}",
    }
    return words[test.kind]()


def measured(one: Verdict) -> str:
    """Value and interval, rounded to the interval."""
    if one.value is None:
        return "not measured"
    width = one.high - one.low
    decimals = significant_decimals(width, 2) if width else significant_decimals(one.value, 3)
    value, low, high = (rounded(v, decimals) for v in (one.value, one.low, one.high))
    return f"{value} [{low}, {high}]" if width else value


def publish_scale(scale: str, files: Sequence[str], out: Path) -> None:
    """Collect the verdicts of all papers at one scale, and write their table."""
    verdicts = [one for file in files for one in read_verdicts(file)]
    out.mkdir(parents=True, exist_ok=True)
    write_verdicts(out / "verdicts.json", verdicts)
    if not verdicts:
        return
    interval = "95 % interval; of a benchmark, its least and greatest round"
    caption = f"Every claim at scale {scale}: the test, what was measured ({interval}), the verdict."
    write_table(claims_frame(read_claims(), verdicts), out, "claims", caption, {})


def section(scale: str, folder: Path) -> str:
    """The part of the results page about one scale."""
    table = folder / scale / "claims" / "claims.md"
    verdicts = read_verdicts(folder / scale / "claims" / "verdicts.json")
    if not verdicts:
        return f"## Scale `{scale}`\n\nNot run yet."
    pages = sorted(page.parent for page in folder.glob(f"{scale}/**/notebook.ipynb"))
    links = "\n".join(f"- {link(page, folder)}" for page in pages if not in_cache(page))
    parts = [
        f"## Scale `{scale}`",
        table.read_text().strip(),
        "Tables, figures and executed notebooks:",
        links,
    ]
    return "\n\n".join(parts)


def in_cache(stage: Path) -> bool:
    """Whether a stage's folder stays in DVC's cache, and does not travel with the repository."""
    ignored = stage.parent / ".gitignore"
    return ignored.exists() and f"/{stage.name}" in ignored.read_text().split()


def link(stage: Path, folder: Path) -> str:
    """A Markdown link to the executed notebook of a stage."""
    relative = stage.relative_to(folder).as_posix()
    return f"[{relative}]({relative}/notebook.ipynb)"


def publish_readme(folder: Path = Path("results")) -> None:
    """Write ``results/README.md``: for each scale, the claims table first."""
    head = "# Results\n\nWritten by the pipeline; do not edit. Figures and tables lie beside each notebook."
    write_text(folder / "README.md", "\n\n".join([head, *(section(s, folder) for s in SCALES)]) + "\n")


def update_front_page(front: Path = Path("README.md"), folder: Path = Path("results")) -> None:
    """Put the claims table of scale laptop between the markers of the project's README."""
    text = front.read_text()
    table = (folder / "laptop" / "claims" / "claims.md").read_text().strip()
    before, rest = text.split(START)
    write_text(front, f"{before}{START}\n{table}\n{END}{rest.split(END)[1]}")


def main(arguments: Sequence[str]) -> None:
    """Command line: ``scale NAME FILE ...``, ``readme`` or ``front``."""
    command, *rest = arguments
    if command == "scale":
        publish_scale(rest[0], rest[1:], Path("results") / rest[0] / "claims")
    elif command == "readme":
        publish_readme()
    else:
        update_front_page()


if __name__ == "__main__":
    main(sys.argv[1:])
