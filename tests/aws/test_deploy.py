"""scripts/aws-deploy and aws-undeploy: first deployment, update, removal, deploying again around what was kept, purge.

The functions' code is a placeholder: what they do is tested elsewhere.
"""

import json
import os
import re
import subprocess
import zipfile

import pytest

from cloudformation import load
from emulator import Keys
from parameter_sets import EVERYTHING
from processes import HANG, ROOT, VENV
from strip import strip

FUNCTION = "function handler(event) { return event.request || event.response; }"


def package(folder, note="first"):
    """The files of `make package`, without the build."""
    template, _ = strip(load())
    for name in ("ViewerRequestFunction", "ImageResponseFunction", "VersionedResponseFunction"):
        template["Resources"][name]["Properties"]["FunctionCode"] = FUNCTION
    (folder / "template.yaml").write_text(json.dumps(template, indent=1))
    for name in ("worker", "api"):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.writestr("bootstrap", f"#!/bin/sh\n# {name}, {note}\nexit 1\n")


class Operator:
    """Somebody with the scripts and the keys to an account."""

    def __init__(self, cloud, folder):
        self.cloud = cloud
        self.folder = folder
        self.keys = cloud.new_user("operator", {"Effect": "Allow", "Action": "*", "Resource": "*"})
        package(folder)

    def run(self, script, environment, check=True, **variables):
        own = self.cloud.environment(self.keys)
        own["PATH"] = f"{VENV}:{os.environ['PATH']}"
        own |= {"ENVIRONMENT": environment, "PACKAGE": str(self.folder), **variables}
        done = subprocess.run(
            [ROOT / "scripts" / script], env=own, capture_output=True, text=True, timeout=HANG, check=False
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def client(self, service):
        return self.cloud.client(service, self.keys)

    def names(self, environment):
        return f"tintype-{environment}-{self.cloud.region}-{self.cloud.account}"

    def buckets(self, environment):
        found = [each["Name"] for each in self.client("s3").list_buckets()["Buckets"]]
        return {name.rsplit("-", 1)[1] for name in found if name.startswith(self.names(environment))}

    def tables(self):
        return set(self.client("dynamodb").list_tables()["TableNames"])

    def stacks(self):
        found = self.client("cloudformation").describe_stacks()["Stacks"]
        return {each["StackName"]: each for each in found}

    def physical(self, environment):
        client = self.client("cloudformation")
        found = client.describe_stack_resources(StackName=f"tintype-{environment}")["StackResources"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    def parameter(self, environment, name):
        stack = self.stacks()[f"tintype-{environment}"]
        return {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}[name]


@pytest.fixture(scope="module")
def operator(cloud, tmp_path_factory):
    return Operator(cloud, tmp_path_factory.mktemp("package"))


def test_data_outlives_its_stack_is_taken_up_again_and_goes_with_purge(operator):
    parameters = "EnableKms=true EnableTrail=true EnableDeletionProtection=true AllowedOrigins=https://a.example,https://b.example"
    operator.run("aws-deploy", "keep", PARAMS=parameters)
    s3, kms = operator.client("s3"), operator.client("kms")
    bucket = f"{operator.names('keep')}-processed"
    for body in (b"old", b"new"):
        s3.put_object(Bucket=bucket, Key="a b+c/ü.jpg/medium.webp", Body=body)
    s3.put_object(Bucket=bucket, Key="gone", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="gone")
    key = operator.physical("keep")["Key"]
    # MiniStack's CloudFormation leaves BucketEncryption out, which is where the scripts find the key of a lost stack.
    encryption = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(Bucket=f"{operator.names('keep')}-raw", ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": encryption}]})

    said = operator.run("aws-undeploy", "keep").stdout
    assert "tintype-keep" not in operator.stacks()
    assert operator.buckets("keep") == {"raw", "processed", "trail"}
    assert "tintype-keep-images" in operator.tables() and "kept: table tintype-keep-images" in said

    # Without its key the data could not be read again.
    refused = operator.run("aws-deploy", "keep", check=False)
    assert refused.returncode != 0 and "EnableKms=true" in refused.stderr
    assert "tintype-keep" not in operator.stacks()

    said = operator.run("aws-deploy", "keep", PARAMS=parameters).stdout
    assert "taking up the data" in said
    assert operator.stacks()["tintype-keep"]["StackStatus"] == "UPDATE_COMPLETE"
    assert s3.get_object(Bucket=bucket, Key="a b+c/ü.jpg/medium.webp")["Body"].read() == b"new"
    physical = operator.physical("keep")
    assert physical["ProcessedBucket"] == bucket and physical["Table"] == "tintype-keep-images"
    assert physical["Key"] == key

    said = operator.run("aws-undeploy", "keep", PURGE="yes").stdout
    assert "deleted 4 versions" in said and "nothing of tintype-keep is left" in said
    assert not operator.buckets("keep") and "tintype-keep-images" not in operator.tables()
    assert "tintype-keep" not in operator.stacks()
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_environments_live_side_by_side_and_keep_the_parameters_that_are_not_named(operator):
    operator.run("aws-deploy", "one", PARAMS="MaximumConcurrency=7 PriceClass=PriceClass_200")
    operator.run("aws-deploy", "two")
    one = operator.client("lambda").get_function_configuration(FunctionName="tintype-one-worker")["CodeSha256"]
    try:
        package(operator.folder, "second")
        said = operator.run("aws-deploy", "one", PARAMS="PriceClass=PriceClass_All").stdout
        assert re.search(r"RawBucketName *\| *tintype-one-", said)
    finally:
        package(operator.folder)
    assert operator.parameter("one", "MaximumConcurrency") == "7"
    assert operator.parameter("one", "PriceClass") == "PriceClass_All"
    assert operator.client("lambda").get_function_configuration(FunctionName="tintype-one-worker")["CodeSha256"] != one

    operator.run("aws-undeploy", "one", PURGE="yes")
    assert operator.buckets("two") == {"raw", "processed"} and operator.buckets("one") == set()
    artifacts = f"tintype-artifacts-{operator.cloud.region}-{operator.cloud.account}"
    assert operator.client("s3").list_objects_v2(Bucket=artifacts, Prefix="two/")["KeyCount"] > 0
    assert operator.client("s3").list_objects_v2(Bucket=artifacts, Prefix="one/")["KeyCount"] == 0
    operator.run("aws-undeploy", "two", PURGE="yes")
    assert operator.buckets("two") == set()


def test_the_bucket_for_the_code_is_private_and_encrypted(operator):
    operator.run("aws-deploy", "code")
    s3 = operator.client("s3")
    artifacts = f"tintype-artifacts-{operator.cloud.region}-{operator.cloud.account}"
    block = s3.get_public_access_block(Bucket=artifacts)["PublicAccessBlockConfiguration"]
    assert len(block) == 4 and all(block.values())
    rule, = s3.get_bucket_encryption(Bucket=artifacts)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    rule, = s3.get_bucket_ownership_controls(Bucket=artifacts)["OwnershipControls"]["Rules"]
    assert rule["ObjectOwnership"] == "BucketOwnerEnforced"
    operator.run("aws-undeploy", "code", PURGE="yes")


def test_code_is_never_put_into_somebody_elses_bucket(operator):
    """Whoever guessed the name first has the bucket, and could put other code in the place of ours."""
    squatted = "guessed"
    artifacts = f"{squatted}-artifacts-{operator.cloud.region}-{operator.cloud.account}"
    # A key of 12 digits is another account to MiniStack.
    stranger = operator.cloud.client("s3", Keys("999988887777", "test"))
    stranger.create_bucket(Bucket=artifacts)
    done = operator.run("aws-deploy", "prod", check=False, PREFIX=squatted)
    assert done.returncode == 1 and f"the bucket {artifacts} belongs to another account" in done.stderr
    assert "PREFIX" in done.stderr
    assert stranger.list_objects_v2(Bucket=artifacts)["KeyCount"] == 0
    assert f"{squatted}-prod" not in operator.stacks()
    # Nor is one of them taken for data of ours that is to be taken up, or emptied.
    raw = f"{squatted}-data-{operator.cloud.region}-{operator.cloud.account}-raw"
    stranger.delete_bucket(Bucket=artifacts)
    stranger.create_bucket(Bucket=raw)
    stranger.put_object(Bucket=raw, Key="theirs", Body=b"x")
    for script, variables in (("aws-deploy", {}), ("aws-undeploy", {"PURGE": "yes"})):
        done = operator.run(script, "data", check=False, PREFIX=squatted, **variables)
        assert done.returncode == 1 and f"the bucket {raw} belongs to another account" in done.stderr, done.stderr
    assert stranger.list_objects_v2(Bucket=raw)["KeyCount"] == 1


def test_every_call_of_the_scripts_to_a_bucket_says_whose_it_must_be():
    unsaid = []
    for script in ("aws-session", "aws-deploy", "aws-undeploy"):
        text = (ROOT / "scripts" / script).read_text().replace("\\\n", " ")
        for line in text.splitlines():
            # A bucket that is made is ours or it is refused.
            for call in re.findall(r"aws s3api (?!create-bucket)[a-z-]+ .*", line):
                if '"${owner[@]}"' not in call:
                    unsaid.append((script, line))
        assert not re.search(r"aws s3 ", text), script
    assert not unsaid


def test_a_new_environment_works_on_a_tenth_of_what_the_account_may_run(operator):
    limits = operator.client("lambda").get_account_settings()["AccountLimit"]
    tenth = str(min(max(limits["UnreservedConcurrentExecutions"] // 10, 4), 100))
    said = operator.run("aws-deploy", "tenth").stdout
    assert operator.parameter("tenth", "MaximumConcurrency") == tenth and f"MaximumConcurrency={tenth}" in said
    operator.run("aws-deploy", "tenth", PARAMS="MaximumConcurrency=7")
    operator.run("aws-deploy", "tenth")
    assert operator.parameter("tenth", "MaximumConcurrency") == "7"
    operator.run("aws-undeploy", "tenth", PURGE="yes")
    operator.run("aws-deploy", "tenth", PARAMS="MaximumConcurrency=9")
    assert operator.parameter("tenth", "MaximumConcurrency") == "9"
    operator.run("aws-undeploy", "tenth", PURGE="yes")


def test_a_bucket_of_many_versions_is_emptied_by_s3_itself(operator):
    operator.run("aws-deploy", "many")
    s3 = operator.client("s3")
    raw = f"{operator.names('many')}-raw"
    for number in range(12):
        s3.put_object(Bucket=raw, Key=f"{number}.jpg", Body=b"x")
    said = operator.run("aws-undeploy", "many", PURGE="yes", PURGE_LISTED="10").stdout
    assert "more than 10 versions" in said and f"left until S3 has emptied them: {raw}" in said
    assert "nothing of tintype-many is left" not in said
    rules = s3.get_bucket_lifecycle_configuration(Bucket=raw)["Rules"]
    assert all(rule["Status"] == "Enabled" and rule["Filter"] == {"Prefix": ""} for rule in rules)
    merged = {name: value for rule in rules for name, value in rule.items() if name != "Expiration"}
    assert merged["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert merged["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert [rule["Expiration"] for rule in rules] == [{"Days": 1}, {"ExpiredObjectDeleteMarker": True}]
    # The small resources were deleted at once, and the rest when S3 is done.
    assert operator.buckets("many") == {"raw"} and "tintype-many-images" not in operator.tables()
    said = operator.run("aws-undeploy", "many", PURGE="yes").stdout
    assert operator.buckets("many") == set() and "nothing of tintype-many is left" in said


def test_every_switch_at_once_is_deployed(operator):
    given = {name: value for name, value in EVERYTHING.items() if name != "MonthlyBudget"}
    operator.run("aws-deploy", "all", PARAMS=" ".join(f"{name}={value}" for name, value in given.items()))
    assert operator.stacks()["tintype-all"]["StackStatus"] == "CREATE_COMPLETE"
    # Protected as it is: PURGE means it.
    operator.run("aws-undeploy", "all", PURGE="yes")
    assert "tintype-all-images" not in operator.tables()


@pytest.mark.parametrize("environment, variables, says", [
    ("Bad", {}, "no name for an environment"),
    ("bad", {"PARAMS": "EnableTrail"}, "not NAME=VALUE"),
    ("bad", {"PARAMS": "Colour=red"}, "no parameter Colour"),
    ("bad", {"PARAMS": "Environment=x"}, "ENVIRONMENT=..."),
    ("bad", {"PARAMS": "WorkerMemory=4096"}, "1024 to 3008"),
    ("bad", {"PARAMS": "EnableDataEvents=true"}, "EnableTrail=true"),
    ("bad", {"PACKAGE": "/nowhere"}, "make package"),
    ("bad", {"AWS_DEFAULT_REGION": ""}, "no region"),
    ("bad", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "AWS_PROFILE"),
])
def test_a_mistake_is_told_and_changes_nothing(operator, environment, variables, says):
    done = operator.run("aws-deploy", environment, check=False, **variables)
    assert done.returncode != 0 and says in done.stderr
    assert not operator.buckets("bad")


def test_purge_takes_no_other_word_for_yes(operator):
    done = operator.run("aws-undeploy", "bad", check=False, PURGE="true")
    assert done.returncode == 2 and "yes or no" in done.stderr
