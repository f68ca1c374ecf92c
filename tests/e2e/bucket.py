"""The bucket in tests: what is put into it, what is in it, and what it refuses."""

import hashlib

import botocore.exceptions
import pytest

MIB = 1 << 20


def noise(size, seed=0):
    """Bytes that do not compress and are the same every time."""
    return hashlib.shake_256(seed.to_bytes(4, "big")).digest(size)


def keys(client, prefix):
    return [entry["Key"] for entry in client.list_objects_v2(Bucket="raw", Prefix=prefix).get("Contents", [])]


def delete_all(client, prefix):
    listed = keys(client, prefix)
    if listed:
        answer = client.delete_objects(Bucket="raw", Delete={"Objects": [{"Key": key} for key in listed]})
        assert not answer.get("Errors"), answer


def refused(call, code, status=None):
    """The call fails with this code of S3."""
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call()
    assert error.value.response["Error"]["Code"] == code, error.value.response
    if status is not None:
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
