#!/usr/bin/env python3
"""Takes out of the packaged template what MiniStack does not create.

    tests/aws/strip.py target/package/template.yaml > stripped.json       # what was taken out goes to stderr
    from strip import strip; template, dropped = strip(load(path), tls=False)

Seen with MiniStack 1.5.33: it creates, updates and deletes all the rest as it is shipped, several environments side by
side, by `aws cloudformation package` and `deploy` too (`scripts/aws-deploy` with `AWS_ENDPOINT_URL` set). It checks the
rules and parameters as CloudFormation does, and keeps data resources. What it takes and does not use: of a bucket,
`BucketEncryption` and `LifecycleConfiguration`; `RecursiveLoop`; what alarms and key policies say.
"""

import argparse
import copy
import json
import sys

from cloudformation import load, references

# Types that MiniStack refuses ("Unrecognized resource types"), and what covers them instead.
REFUSED = {
    "AWS::CloudTrail::Trail": "cfn-lint, cfn-guard and tests/aws/test_template.py; the trail's bucket is created",
    "AWS::Budgets::Budget": "cfn-lint and tests/aws/test_template.py",
}


def strip(template, tls=True):
    """The template without the refused types, and a list of what was taken out, one line each.

    With `tls=False` also the statements that refuse plain HTTP are gone, since MiniStack without `USE_SSL=1` speaks
    nothing else. What refers to a resource that is gone is an error: nothing in the template does.
    """
    template = copy.deepcopy(template)
    resources = template["Resources"]
    gone = {name: item["Type"] for name, item in resources.items() if item["Type"] in REFUSED}
    dropped = [f"{name} ({kind}): {REFUSED[kind]}" for name, kind in gone.items()]
    for name in gone:
        del resources[name]
    for section in ("Resources", "Outputs"):
        for name, item in template[section].items():
            broken = references(item, gone)
            if broken:
                raise ValueError(f"{name} refers to {sorted(broken)}, which MiniStack cannot create")
    if not tls:
        for name, item in resources.items():
            policy = item.get("Properties", {}).get("PolicyDocument")
            if policy:
                kept = [statement for statement in policy["Statement"] if statement.get("Sid") != "OnlyTls"]
                if len(kept) < len(policy["Statement"]):
                    dropped.append(f"{name}: the statement OnlyTls")
                policy["Statement"] = kept
    return template, dropped


def main():
    parser = argparse.ArgumentParser(description="Takes out of the packaged template what MiniStack does not create.")
    parser.add_argument("template")
    parser.add_argument("--plain-http", action="store_true", help="also drop the statements that refuse plain HTTP")
    arguments = parser.parse_args()
    template, dropped = strip(load(arguments.template), tls=not arguments.plain_http)
    json.dump(template, sys.stdout, indent=1)
    for line in dropped:
        print(f"strip: {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
