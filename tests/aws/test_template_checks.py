"""cfn-lint, AWS Control Tower's cfn-guard rules and checkov have nothing to say that deploy/checks/exceptions.yaml does
not answer, and nothing there is left over. `scripts/template-checks` installs the three."""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cloudformation import TEMPLATE, evaluate, load
from parameter_sets import SETS

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ROOT / "deploy" / "checks"
GUARD = CHECKS / "node_modules" / "@cdklabs" / "cdk-validator-cfnguard"
CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
EXCEPTIONS = yaml.safe_load((CHECKS / "exceptions.yaml").read_text())


def expected(tool, name):
    """The known findings: (rule, resource)."""
    found = set()
    for line in EXCEPTIONS[tool]:
        assert line["reason"].strip(), f"{tool} {line['rule']} has no reason"
        assert set(line) <= {"rule", "resources", "reason", "only"}, line
        assert line.get("only", name) in SETS, line
        if line.get("only", name) == name:
            found |= {(line["rule"], resource) for resource in line["resources"]}
    return found


@pytest.fixture(scope="module", params=SETS)
def resolved(request, tmp_path_factory):
    """The template as it is with a set of parameters. Names of buckets stand for references to them, because the
    checkers know only some ways of writing an ARN."""
    resources = evaluate(load(), **SETS[request.param])["Resources"]
    names = {
        name: item["Properties"]["BucketName"] for name, item in resources.items() if item["Type"] == "AWS::S3::Bucket"
    }
    path = tmp_path_factory.mktemp("template") / f"{request.param}.json"
    path.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": written_out(resources, names)}))
    return request.param, path


def written_out(node, buckets):
    if isinstance(node, list):
        return [written_out(item, buckets) for item in node]
    if not isinstance(node, dict):
        return node
    match node:
        case {"Fn::GetAtt": [name, "Arn"]} if name in buckets:
            return f"arn:aws:s3:::{buckets[name]}"
        case {"Fn::Sub": str(text)}:
            arn = lambda found: f"arn:aws:s3:::{buckets[found[1]]}" if found[1] in buckets else found[0]
            text = re.sub(r"\$\{(\w+)\.Arn\}", arn, text)
            return {"Fn::Sub": text} if "${" in text else text
        case _:
            return {key: written_out(value, buckets) for key, value in node.items()}


def test_cfn_lint():
    run = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--format", "json", "--regions", "us-east-1", "eu-central-1", "--",
         TEMPLATE],
        capture_output=True, text=True, check=False,
    )
    found = {(each["Rule"]["Id"], each["Location"]["Path"][1]) for each in json.loads(run.stdout)}
    assert found == expected("cfn-lint", "default")


def test_cfn_guard(resolved):
    name, path = resolved
    binary = GUARD / "bin" / "ubuntu" / {"x86_64": "x86_64", "aarch64": "aarch64"}[platform.machine()] / "cfn-guard"
    os.chmod(binary, 0o755)
    command = [binary, "validate", "-d", path, "-S", "none", "-o", "json", "--structured"]
    for rules in sorted((GUARD / "rules" / "control-tower" / "cfn-guard").iterdir()):
        command += ["-r", rules]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    report, = json.loads(run.stdout)
    assert report["compliant"], "the rules looked at nothing"
    found = {
        (rule["Rule"]["name"], resource)
        for rule in report["not_compliant"]
        for resource in failing_resources(rule)
    }
    assert found == expected("cfn-guard", name)


def failing_resources(rule):
    resources = set(re.findall(r'"/Resources/(\w+)', json.dumps(rule)))
    assert resources, f"{rule['Rule']['name']} names no resource"
    return resources


def test_checkov(resolved):
    name, path = resolved
    run = subprocess.run(
        [CHECKOV, "-f", path, "--framework", "cloudformation", "--compact", "--quiet", "--skip-download", "-o", "json"],
        capture_output=True, text=True, check=False,
    )
    report = json.loads(run.stdout)
    assert report["summary"]["passed"] > 40 and report["summary"]["parsing_errors"] == 0
    found = {(each["check_id"], each["resource"].split(".")[-1]) for each in report["results"]["failed_checks"]}
    assert found == expected("checkov", name)
