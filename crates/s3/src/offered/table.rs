//! The operations, their query names and their headers.

use super::{Operation, Target};

/// Headers of the transport, of the signature, and those that every operation checks.
pub(super) const ANYWHERE: &[&str] = &[
    "x-amz-api-version",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-expected-bucket-owner",
    "x-amz-request-payer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-te",
    "x-amz-trailer",
    "x-amz-user-agent",
];
/// Settings of an object that have to have their usual value.
const USUAL: &[&str] = &["x-amz-acl", "x-amz-server-side-encryption", "x-amz-storage-class"];
const METADATA: &[&str] = &["x-amz-meta-"];
const CHECKSUM: &[&str] = &[
    "x-amz-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];
const CHECKSUM_TYPE: &[&str] = &["x-amz-checksum-algorithm", "x-amz-checksum-type"];
const COPY_SOURCE: &[&str] = &[
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-source-expected-bucket-owner",
];
/// The parts of an object that a copy can leave behind. Objects here have metadata only.
const DIRECTIVES: &[&str] = &[
    "x-amz-metadata-directive",
    "x-amz-object-annotation-directive",
    "x-amz-tagging-directive",
];
const OPTIONAL_ATTRIBUTES: &[&str] = &["x-amz-optional-object-attributes"];

const READ: &[&str] = &[
    "partNumber",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "versionId",
];

/// An operation that no query name chooses and that may carry no names.
const fn plain(name: &'static str, method: &'static str, target: Target) -> Operation {
    Operation {
        name,
        method,
        target,
        chosen_by: &[],
        query: &[],
        headers: &[],
        copies: false,
        conditions: &[],
    }
}

/// A read of a part of the bucket's configuration.
const fn configuration(name: &'static str, chosen_by: &'static [&'static str]) -> Operation {
    Operation {
        chosen_by,
        ..plain(name, "GET", Target::Bucket)
    }
}

pub(super) const OFFERED: &[Operation] = &[
    Operation {
        query: &["bucket-region", "continuation-token", "max-buckets", "prefix"],
        ..plain("ListBuckets", "GET", Target::Service)
    },
    plain("HeadBucket", "HEAD", Target::Bucket),
    Operation {
        headers: &[&["x-amz-acl", "x-amz-object-ownership"]],
        ..plain("CreateBucket", "PUT", Target::Bucket)
    },
    plain("DeleteBucket", "DELETE", Target::Bucket),
    Operation {
        chosen_by: &["delete"],
        headers: &[CHECKSUM],
        ..plain("DeleteObjects", "POST", Target::Bucket)
    },
    Operation {
        query: &["delimiter", "encoding-type", "marker", "max-keys", "prefix"],
        headers: &[OPTIONAL_ATTRIBUTES],
        ..plain("ListObjects", "GET", Target::Bucket)
    },
    Operation {
        chosen_by: &["list-type"],
        query: &[
            "continuation-token",
            "delimiter",
            "encoding-type",
            "fetch-owner",
            "max-keys",
            // MinIO's clients send this extension to ask for user metadata; S3 ignores it as well.
            "metadata",
            "prefix",
            "start-after",
        ],
        headers: &[OPTIONAL_ATTRIBUTES],
        ..plain("ListObjectsV2", "GET", Target::Bucket)
    },
    Operation {
        chosen_by: &["versions"],
        query: &[
            "delimiter",
            "encoding-type",
            "key-marker",
            "max-keys",
            "metadata",
            "prefix",
            "version-id-marker",
        ],
        headers: &[OPTIONAL_ATTRIBUTES],
        ..plain("ListObjectVersions", "GET", Target::Bucket)
    },
    Operation {
        chosen_by: &["uploads"],
        query: &[
            "delimiter",
            "encoding-type",
            "key-marker",
            "max-uploads",
            "prefix",
            "upload-id-marker",
        ],
        ..plain("ListMultipartUploads", "GET", Target::Bucket)
    },
    configuration("GetBucketLocation", &["location"]),
    configuration("GetBucketVersioning", &["versioning"]),
    configuration("GetBucketRequestPayment", &["requestPayment"]),
    configuration("GetBucketLogging", &["logging"]),
    configuration("GetBucketAccelerateConfiguration", &["accelerate"]),
    configuration("GetBucketNotificationConfiguration", &["notification"]),
    configuration("GetBucketTagging", &["tagging"]),
    configuration("GetBucketPolicy", &["policy"]),
    configuration("GetBucketCors", &["cors"]),
    configuration("GetBucketWebsite", &["website"]),
    configuration("GetBucketEncryption", &["encryption"]),
    configuration("GetBucketReplication", &["replication"]),
    configuration("GetBucketLifecycleConfiguration", &["lifecycle"]),
    configuration("GetBucketOwnershipControls", &["ownershipControls"]),
    configuration("GetObjectLockConfiguration", &["object-lock"]),
    configuration("GetPublicAccessBlock", &["publicAccessBlock"]),
    Operation {
        query: READ,
        headers: &[&["x-amz-checksum-mode"]],
        ..plain("GetObject", "GET", Target::Object)
    },
    Operation {
        query: READ,
        headers: &[&["x-amz-checksum-mode"]],
        ..plain("HeadObject", "HEAD", Target::Object)
    },
    Operation {
        chosen_by: &["attributes"],
        query: &["versionId"],
        headers: &[&[
            "x-amz-max-parts",
            "x-amz-object-attributes",
            "x-amz-part-number-marker",
        ]],
        ..plain("GetObjectAttributes", "GET", Target::Object)
    },
    Operation {
        chosen_by: &["tagging"],
        query: &["versionId"],
        ..plain("GetObjectTagging", "GET", Target::Object)
    },
    Operation {
        chosen_by: &["uploadId"],
        query: &["encoding-type", "max-parts", "part-number-marker"],
        ..plain("ListParts", "GET", Target::Object)
    },
    PUT_OBJECT,
    Operation {
        headers: &[
            COPY_SOURCE,
            DIRECTIVES,
            METADATA,
            USUAL,
            &["x-amz-checksum-algorithm"],
        ],
        copies: true,
        conditions: &["if-match", "if-none-match"],
        ..plain("CopyObject", "PUT", Target::Object)
    },
    Operation {
        chosen_by: &["partNumber", "uploadId"],
        headers: &[CHECKSUM, USUAL],
        ..plain("UploadPart", "PUT", Target::Object)
    },
    Operation {
        chosen_by: &["partNumber", "uploadId"],
        headers: &[COPY_SOURCE, USUAL, &["x-amz-copy-source-range"]],
        copies: true,
        ..plain("UploadPartCopy", "PUT", Target::Object)
    },
    Operation {
        chosen_by: &["uploads"],
        headers: &[CHECKSUM_TYPE, METADATA, USUAL],
        ..plain("CreateMultipartUpload", "POST", Target::Object)
    },
    Operation {
        chosen_by: &["uploadId"],
        headers: &[CHECKSUM, CHECKSUM_TYPE, USUAL, &["x-amz-mp-object-size"]],
        conditions: &["if-match", "if-none-match"],
        ..plain("CompleteMultipartUpload", "POST", Target::Object)
    },
    Operation {
        chosen_by: &["uploadId"],
        ..plain("AbortMultipartUpload", "DELETE", Target::Object)
    },
    Operation {
        query: &["versionId"],
        conditions: &["if-match"],
        ..plain("DeleteObject", "DELETE", Target::Object)
    },
];

pub(super) const PUT_OBJECT: Operation = Operation {
    headers: &[CHECKSUM, CHECKSUM_TYPE, METADATA, USUAL],
    conditions: &["if-match", "if-none-match"],
    ..plain("PutObject", "PUT", Target::Object)
};

/// The request that carries a form. Its fields are checked by [`check_fields`].
pub(super) const FORM: Operation = plain("PostObject", "POST", Target::Bucket);
