"""Looks back at every call that the functions made in this session: all of them allowed, nothing granted in vain.

Runs last. A second opinion to MiniStack's own enforcement, by a simulator that knows AWS's actions and condition keys.
"""

import pytest

import iam
from calls import ACCOUNT, Permission, Service


@pytest.fixture(scope="module")
def used(tintype):
    """(role, permission) of everything that the functions did: an example for each folder of a bucket."""
    assert len(tintype.emulator.proxy.record) > 1000, "run the whole suite: this looks back at it"
    roles = {tintype.function_keys(role).access_key: role for role in iam.ROLES}
    examples = {}
    for call in tintype.emulator.proxy.record:
        role = roles.get(call.access_key)
        assert role, f"nobody knows who made this call: {call}"
        for permission in call.used():
            # To the simulator, a resource with a wildcard is a question about many, and no wildcard matches a line end.
            if not set(permission.resource) & set("*?\n\r\u2028\u2029"):
                folder = "/".join(permission.resource.split("/")[:2])
                examples.setdefault((role, permission.action, folder, permission.context), permission)
    return [(key[0], permission) for key, permission in examples.items()]


def test_the_functions_called_nothing_that_is_not_understood(tintype):
    assert not tintype.emulator.proxy.unexpected


def test_every_call_to_a_bucket_says_whose_it_must_be(tintype):
    """MiniStack does not look at it; S3 refuses a bucket of another account."""
    calls = [call for call in tintype.emulator.proxy.record if call.service is Service.S3]
    own = [call for call in calls if not call.parameters["presigned"]]
    assert len(own) > 500
    # Requests of clients are bound by the policy of the role that signed them.
    assert {call.operation for call in own} == {"GetObject", "HeadObject", "PutObject", "DeleteObject", "ListObjectsV2"}
    assert {call.parameters["owner"] for call in own} == {ACCOUNT}


def test_the_policies_allow_every_call_that_was_made(tintype, used):
    decisions = iam.simulate([tintype.policies.question(role, permission) for role, permission in used])
    denied = [
        (role, permission.action, permission.resource, decision)
        for (role, permission), decision in zip(used, decisions, strict=True)
        if decision != "Allowed"
    ]
    assert not denied


@pytest.mark.parametrize("role", iam.ROLES)
def test_nothing_is_granted_that_no_test_used(tintype, used, role):
    unused = []
    for action, resource in tintype.policies.grants(role):
        assert "*" not in action, f"{role} grants {action}"
        by_function = any(
            role == user and action == permission.action and iam.covers(resource, permission.resource)
            for user, permission in used
        )
        if not by_function and (role, action) not in iam.PLATFORM:
            unused.append((action, resource))
    assert not unused


def test_the_platforms_own_calls_are_granted_and_still_needed(tintype):
    granted = {(role, action) for role in iam.ROLES for action, _ in tintype.policies.grants(role)}
    assert set(iam.PLATFORM) <= granted


def test_the_simulator_denies_what_must_be_denied(tintype):
    policies, raw, processed = tintype.policies, f"arn:aws:s3:::{tintype.raw}", f"arn:aws:s3:::{tintype.processed}"
    plain = (("aws:SecureTransport", "false"),)
    foreign = (("aws:ResourceAccount", "999988887777"),)
    table = f"arn:aws:dynamodb:{tintype.emulator.region}:{ACCOUNT}:table/{tintype.outputs['TableName']}"

    def leading(*keys):
        return (("dynamodb:LeadingKeys", keys),)

    distribution = f"arn:aws:cloudfront::{ACCOUNT}:distribution/{tintype.outputs['DistributionId']}"
    cases = [
        ("WorkerRole", Permission("s3:PutObject", f"{raw}/a.jpg"), "ImplicitlyDenied"),
        ("WorkerRole", Permission("s3:DeleteObject", f"{raw}/a.jpg"), "ImplicitlyDenied"),
        ("WorkerRole", Permission("s3:GetObject", f"{raw}/a.jpg", plain), "ExplicitlyDenied"),
        ("ApiRole", Permission("s3:GetObject", f"{processed}/a.jpg/medium.jpg"), "ImplicitlyDenied"),
        ("ApiRole", Permission("sqs:ReceiveMessage", tintype.outputs["QueueArn"]), "ImplicitlyDenied"),
        ("ApiRole", Permission("sqs:DeleteMessage", tintype.outputs["QueueArn"]), "ImplicitlyDenied"),
        ("ApiRole", Permission("sqs:ReceiveMessage", tintype.outputs["DeadLetterQueueArn"]), "Allowed"),
        ("ApiRole", Permission("sqs:SendMessage", tintype.outputs["DeadLetterQueueArn"]), "ImplicitlyDenied"),
        ("ApiRole", Permission("sqs:ReceiveMessage", tintype.outputs["InvalidationDeadLetterQueueArn"]), "ImplicitlyDenied"),
        # The same names in another account.
        ("WorkerRole", Permission("s3:GetObject", f"{raw}/a.jpg", foreign), "ImplicitlyDenied"),
        ("WorkerRole", Permission("s3:PutObject", f"{processed}/a.jpg/medium.jpg", foreign), "ImplicitlyDenied"),
        ("WorkerRole", Permission("s3:ListBucket", processed, foreign), "ImplicitlyDenied"),
        ("ApiRole", Permission("s3:PutObject", f"{raw}/a.jpg", foreign), "ImplicitlyDenied"),
        # The installation's secret.
        ("ApiRole", Permission("dynamodb:GetItem", table, leading("image#a.jpg")), "Allowed"),
        ("ApiRole", Permission("dynamodb:GetItem", table, leading("installation")), "ImplicitlyDenied"),
        ("ApiRole", Permission("dynamodb:BatchGetItem", table, leading("image#a.jpg", "installation")), "ImplicitlyDenied"),
        ("WorkerRole", Permission("dynamodb:GetItem", table, leading("installation")), "Allowed"),
        ("WorkerRole", Permission("dynamodb:DeleteItem", table, leading("image#a.jpg")), "Allowed"),
        ("WorkerRole", Permission("dynamodb:DeleteItem", table, leading("installation")), "ImplicitlyDenied"),
        ("WorkerRole", Permission("cloudfront:CreateInvalidation", distribution), "ImplicitlyDenied"),
        ("WorkerRole", Permission("sqs:ReceiveMessage", tintype.outputs["InvalidationQueueArn"]), "ImplicitlyDenied"),
        ("InvalidatorRole", Permission("sqs:ReceiveMessage", tintype.outputs["QueueArn"]), "ImplicitlyDenied"),
        (
            "WorkerRole",
            Permission("s3:PutObject", f"{processed}/a.jpg/b", (("s3:x-amz-server-side-encryption", "aws:kms"),)),
            "ExplicitlyDenied",
        ),
    ]
    decisions = iam.simulate([policies.question(role, permission) for role, permission, _ in cases])
    assert decisions == [expected for _, _, expected in cases]


def test_cloudfront_reads_and_may_list_for_this_distribution_alone(tintype):
    """Listing is what makes a missing picture 404 and not 403 on S3; MiniStack answers 403 either way."""
    bucket = f"arn:aws:s3:::{tintype.processed}"
    own = f"arn:aws:cloudfront::{ACCOUNT}:distribution/{tintype.outputs['DistributionId']}"
    other = f"arn:aws:cloudfront::{ACCOUNT}:distribution/E2QWRUHEXAMPLE"

    def question(action, resource, source):
        return {
            "principal": "cloudfront.amazonaws.com",
            "action": action,
            "resource": resource,
            "account": ACCOUNT,
            "context": {**iam.GOOD, "aws:SourceArn": source},
            "identityPolicies": [],
            "resourcePolicy": tintype.policies.resource_policy(bucket),
        }

    questions = [
        question("s3:GetObject", f"{bucket}/a.jpg/medium.jpg", own),
        question("s3:ListBucket", bucket, own),
        question("s3:GetObject", f"{bucket}/a.jpg/medium.jpg", other),
        question("s3:ListBucket", bucket, other),
        question("s3:PutObject", f"{bucket}/a.jpg/medium.jpg", own),
    ]
    assert iam.simulate(questions) == ["Allowed", "Allowed", "ImplicitlyDenied", "ImplicitlyDenied", "ImplicitlyDenied"]
