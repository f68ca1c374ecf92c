use futures::FutureExt;
use md5::{Digest, Md5};

use super::*;
use crate::{Attributes, CompletedPart, Completion, Error, MAX_PART_NUMBER, MIN_PART_BYTES, UploadMarker};

const MIN: usize = 5 << 20;

#[tokio::test]
async fn parts_become_one_object() {
    let mut data = Data::new();
    let store = data.store();
    let attributes = Attributes {
        content_type: Some("image/png".to_owned()),
        metadata: strings([("a", "b")]),
        ..Attributes::default()
    };
    let upload = store
        .create_multipart(&key("a"), attributes.clone())
        .await
        .unwrap();
    let bodies = [vec![1; MIN], vec![2; MIN + 1], vec![3; 7]];
    // Out of order, with gaps, and one of them twice.
    part(&store, "a", &upload, 1, b"replaced").await;
    let third = part(&store, "a", &upload, 900, &bodies[2]).await;
    let first = part(&store, "a", &upload, 1, &bodies[0]).await;
    let second = part(&store, "a", &upload, 20, &bodies[1]).await;
    let unused = part(&store, "a", &upload, 21, b"not named").await;
    assert_eq!(unused.number, 21);
    assert!(matches!(store.head_source("a").await, Err(Error::NoSuchKey)));
    assert!(drain(&store).await.is_empty(), "parts make no jobs");

    let parts = vec![first.clone(), second.clone(), third.clone()];
    let assembled = store.assemble(&key("a"), &upload, parts.clone()).await.unwrap();
    assert_eq!(assembled.size_bytes(), bodies.concat().len() as u64);
    let mut digests = Md5::new();
    for part in &parts {
        digests.update(hex::decode(&part.etag).unwrap());
    }
    let etag = format!("{}-3", hex::encode(digests.finalize()));
    assert_eq!(assembled.etag(), etag);
    let completion = Completion {
        checksums: strings([("crc32", "x")]),
        extra: strings([("checksum-type", "COMPOSITE")]),
        ..Completion::default()
    };
    let written = store.commit_assembled(assembled, completion).await.unwrap();
    assert_eq!(
        (written.etag.as_str(), written.size_bytes),
        (etag.as_str(), bodies.concat().len() as u64)
    );
    assert_eq!(
        written.attributes,
        Attributes {
            checksums: strings([("crc32", "x")]),
            extra: strings([("checksum-type", "COMPOSITE")]),
            part_sizes: vec![MIN_PART_BYTES, MIN_PART_BYTES + 1, 7],
            ..attributes
        }
    );
    assert_eq!(read(&store, "a").await, bodies.concat());
    let jobs = drain(&store).await;
    assert_eq!((jobs.len(), etag_of(&jobs[0].work)), (1, Some(etag.as_str())));

    let again = store
        .complete_multipart(&key("a"), &upload, parts.clone(), Completion::default())
        .await
        .unwrap();
    assert_eq!(again, written, "a repeated completion answers the same");
    assert!(drain(&store).await.is_empty());
    put(&store, "a", b"another").await;
    let late = store
        .complete_multipart(&key("a"), &upload, parts, Completion::default())
        .await;
    assert!(matches!(late, Err(Error::NoSuchUpload)));
    let list = store.list_multipart_uploads("", None, 10).await.unwrap();
    assert!(list.uploads.is_empty());
    data.close(store);
    assert_eq!(data.files().len(), 1);
}

#[tokio::test]
async fn completions_are_checked() {
    let data = Data::new();
    let store = data.store();
    let upload = begin(&store, "a").await;
    let small = part(&store, "a", &upload, 1, b"small").await;
    let staged = stage(&store, b"last").await;
    let checksums = strings([("sha256", "abc")]);
    let last = store
        .put_part(&key("a"), &upload, 2, staged, checksums.clone())
        .await
        .unwrap();
    let last = CompletedPart {
        number: 2,
        etag: last.etag,
        checksums,
    };
    let complete = async |upload: &str, parts: &[CompletedPart]| {
        store
            .complete_multipart(&key("a"), upload, parts.to_vec(), Completion::default())
            .await
            .unwrap_err()
    };
    let with_etag = |etag: &str| CompletedPart {
        etag: etag.to_owned(),
        ..last.clone()
    };
    let other_checksum = CompletedPart {
        checksums: strings([("sha256", "abd")]),
        ..last.clone()
    };
    let absent = CompletedPart {
        number: 3,
        ..last.clone()
    };
    assert!(matches!(
        complete(&upload, &[small.clone(), last.clone()]).await,
        Error::EntityTooSmall {
            number: 1,
            size_bytes: 5
        }
    ));
    for parts in [[last.clone(), small.clone()], [last.clone(), last.clone()]] {
        assert!(matches!(complete(&upload, &parts).await, Error::InvalidPartOrder));
    }
    for wrong in [with_etag("00"), other_checksum] {
        assert!(matches!(
            complete(&upload, &[wrong]).await,
            Error::InvalidPart { number: 2 }
        ));
    }
    assert!(matches!(
        complete(&upload, &[absent]).await,
        Error::InvalidPart { number: 3 }
    ));
    assert!(matches!(
        complete(&upload, &[]).await,
        Error::InvalidPartNumber { number: 0 }
    ));
    assert!(matches!(
        complete("nonsense", std::slice::from_ref(&last)).await,
        Error::NoSuchUpload
    ));
    let of_another_key = store
        .complete_multipart(&key("b"), &upload, vec![last.clone()], Completion::default())
        .await;
    assert!(matches!(of_another_key, Err(Error::NoSuchUpload)));
    for number in [0, MAX_PART_NUMBER + 1] {
        let staged = stage(&store, b"x").await;
        let refused = store
            .put_part(&key("a"), &upload, number, staged, BTreeMap::new())
            .await;
        assert!(matches!(refused, Err(Error::InvalidPartNumber { .. })));
    }
    // After all these failures the upload is as it was.
    let written = store
        .complete_multipart(&key("a"), &upload, vec![last], Completion::default())
        .await
        .unwrap();
    assert_eq!(written.size_bytes, 4);
}

#[tokio::test]
async fn a_failed_precondition_keeps_the_upload() {
    let data = Data::new();
    let store = data.store();
    put(&store, "a", b"there").await;
    let upload = begin(&store, "a").await;
    let parts = vec![part(&store, "a", &upload, 1, b"body").await];
    let absent = Completion {
        precondition: Precondition::Absent,
        ..Completion::default()
    };
    let refused = store
        .complete_multipart(&key("a"), &upload, parts.clone(), absent.clone())
        .await;
    assert!(matches!(refused, Err(Error::PreconditionFailed)));
    assert_eq!(read(&store, "a").await, b"there");
    store.delete_source(&key("a"), Precondition::None).await.unwrap();
    store
        .complete_multipart(&key("a"), &upload, parts, absent)
        .await
        .unwrap();
    assert_eq!(read(&store, "a").await, b"body");
}

#[tokio::test]
async fn parts_replaced_while_they_are_put_together_are_noticed() {
    let data = Data::new();
    let store = data.store();
    let upload = begin(&store, "a").await;
    let parts = vec![part(&store, "a", &upload, 1, b"body").await];
    let assembled = store.assemble(&key("a"), &upload, parts.clone()).await.unwrap();
    part(&store, "a", &upload, 1, b"other").await;
    let refused = store.commit_assembled(assembled, Completion::default()).await;
    assert!(matches!(refused, Err(Error::InvalidPart { number: 1 })));
    let assembled = store
        .assemble(
            &key("a"),
            &upload,
            vec![part(&store, "a", &upload, 1, b"body").await],
        )
        .await
        .unwrap();
    store.abort_multipart(&key("a"), &upload).await.unwrap();
    let refused = store.commit_assembled(assembled, Completion::default()).await;
    assert!(matches!(refused, Err(Error::NoSuchUpload)));
    assert!(matches!(store.head_source("a").await, Err(Error::NoSuchKey)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn completions_at_the_same_time_make_one_object() {
    let mut data = Data::new();
    let store = data.store();
    let upload = begin(&store, "a").await;
    let parts = vec![
        part(&store, "a", &upload, 1, &vec![1; MIN]).await,
        part(&store, "a", &upload, 2, b"end").await,
    ];
    let name = key("a");
    let complete = || store.complete_multipart(&name, &upload, parts.clone(), Completion::default());
    let (first, second, third) = tokio::join!(complete(), complete(), complete());
    let first = first.unwrap();
    assert_eq!((&second.unwrap(), &third.unwrap()), (&first, &first));
    assert_eq!(drain(&store).await.len(), 1);
    data.close(store);
    assert_eq!(data.files().len(), 1);
}

#[tokio::test]
async fn a_completion_that_nobody_waits_for_is_answered_to_who_repeats_it() {
    let data = Data::new();
    let store = data.store();
    let upload = begin(&store, "a").await;
    let parts = vec![part(&store, "a", &upload, 1, b"body").await];
    let assembled = store.assemble(&key("a"), &upload, parts.clone()).await.unwrap();
    {
        let mut commit = Box::pin(store.commit_assembled(assembled, Completion::default()));
        assert!(commit.as_mut().now_or_never().is_none());
    }
    let written = store
        .complete_multipart(&key("a"), &upload, parts, Completion::default())
        .await
        .unwrap();
    assert_eq!(store.head_source("a").await.unwrap(), written);
    assert_eq!(drain(&store).await.len(), 1);
}

#[tokio::test]
async fn aborted_uploads_are_gone_with_their_parts() {
    let mut data = Data::new();
    let store = data.store();
    let upload = begin(&store, "a").await;
    part(&store, "a", &upload, 1, b"body").await;
    store.abort_multipart(&key("a"), &upload).await.unwrap();
    assert!(matches!(
        store.abort_multipart(&key("a"), &upload).await,
        Err(Error::NoSuchUpload)
    ));
    let staged = stage(&store, b"late").await;
    let late = store
        .put_part(&key("a"), &upload, 2, staged, BTreeMap::new())
        .await;
    assert!(matches!(late, Err(Error::NoSuchUpload)));
    data.close(store);
    assert_eq!(data.files().len(), 0);
}

#[tokio::test]
async fn parts_and_uploads_are_listed_in_pages() {
    let data = Data::new();
    let store = data.store();
    let upload = begin(&store, "p/a").await;
    for number in [3, 1, 2] {
        part(&store, "p/a", &upload, number, b"x").await;
    }
    let page = store.list_parts(&key("p/a"), &upload, 0, 2).await.unwrap();
    assert_eq!(
        page.parts.iter().map(|part| part.number).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        (page.next, page.upload.upload_id.as_str()),
        (Some(2), upload.as_str())
    );
    let page = store.list_parts(&key("p/a"), &upload, 2, 2).await.unwrap();
    assert_eq!((page.parts.len(), page.next), (1, None));

    let mut expected = vec![("p/a".to_owned(), upload)];
    for name in ["p/a", "p/b", "p/c", "q"] {
        expected.push((name.to_owned(), begin(&store, name).await));
    }
    expected.sort();
    let list = async |prefix: &str, mut after: Option<UploadMarker>, limit| {
        let mut found = Vec::new();
        loop {
            let page = store.list_multipart_uploads(prefix, after, limit).await.unwrap();
            found.extend(
                page.uploads
                    .into_iter()
                    .map(|upload| (upload.key.as_str().to_owned(), upload.upload_id)),
            );
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    for limit in [1, 2, 4, 10] {
        assert_eq!(list("p/", None, limit).await, expected[..4]);
        assert_eq!(list("", None, limit).await, expected);
        let marker = |upload_id| {
            Some(UploadMarker {
                key: "p/a".to_owned(),
                upload_id,
            })
        };
        assert_eq!(list("", marker(None), limit).await, expected[2..]);
        assert_eq!(
            list("", marker(Some(expected[0].1.clone())), limit).await,
            expected[1..]
        );
    }
}
