"""The independent validators of FOCUS files, each in its own folder and process (tools/fetch_focus_validators.py)."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = ROOT / ".tools" / "focus-validator"
TOOLKIT = ROOT / ".tools" / "focus-toolkit"
FETCH = "run `.venv/bin/python tools/fetch_focus_validators.py` (or `make test`) first"
# What our files claim to carry. Without a claim the validator skips the rules that hang on it.
CRITERIA = (
    "ACCOUNT_NAMING_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED",
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
    "REGION_SUPPORTED",
    "TAGGING_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
)
# One of these two always fails: they demand opposites under an "or" that holds.
UNAVOIDABLE = frozenset({"InvoiceId-C-004", "InvoiceId-C-005"})


def find_faults_1_2(file: Path, *, folder: Path) -> set[str]:
    """Return the rules of FOCUS 1.2 that the file breaks, by focus-validator 2.2.1; its exit status tells nothing."""
    assert (VALIDATOR / ".fetched").is_file(), f"the validator is missing: {FETCH}"
    report = folder / "report.xml"
    result = subprocess.run(
        [
            *(sys.executable, "-m", "focus_validator.main", "--data-file", str(file)),
            *("--validate-version", "1.2", "--block-download"),
            *("--applicability-criteria", ",".join(CRITERIA)),
            *("--output-type", "unittest", "--output-destination", str(report)),
        ],
        # It opens its list of currencies by a relative path.
        cwd=VALIDATOR,
        env={"PYTHONPATH": str(VALIDATOR), "PATH": "", "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert report.is_file(), f"{result.stdout[-2000:]}\n{result.stderr[-2000:]}"
    root = ET.parse(report).getroot()
    cases = list(root.iter("testcase"))
    assert len(cases) > 500, "the validator ran its rules"
    failed = {
        "-".join(case.attrib["name"].split(" ")[0].split("-")[:3])
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }
    assert len(failed & UNAVOIDABLE) <= 1
    return failed - UNAVOIDABLE


def lint_1_4(file: Path, *, folder: Path) -> tuple[int, str]:
    """Return the exit status and the words of focus-data-toolkit about a FOCUS 1.4 file."""
    assert (TOOLKIT / ".fetched").is_file(), f"the linter is missing: {FETCH}"
    result = subprocess.run(
        [
            *(sys.executable, "-m", "focus_data_toolkit", "validate", str(file)),
            *("--dataset", "cost-and-usage", "--supports", "SupportsUnitPricing"),
        ],
        cwd=folder,
        env={"PYTHONPATH": str(TOOLKIT), "PATH": "", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr
