use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tintype_model::{GetOptions, ObjectStore, Order};

use super::*;
use crate::{Completion, Error, ListFrom, ListSources, Listed};

#[derive(Clone, Debug)]
enum Step {
    Put { key: usize, body: u8, when: When },
    Multipart { key: usize, body: u8, when: When },
    Delete { key: usize, when: When },
    DeleteAll,
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    Absent,
    Same,
    Other,
}

const KEYS: [&str; 5] = ["a", "a/", "a/b", "A", "a//b\n"];

fn step() -> impl Strategy<Value = Step> {
    let when = prop_oneof![
        3 => Just(When::Always),
        1 => Just(When::Absent),
        1 => Just(When::Same),
        1 => Just(When::Other)
    ];
    let key = 0..KEYS.len();
    prop_oneof![
        8 => (key.clone(), 0..4_u8, when.clone()).prop_map(|(key, body, when)| Step::Put { key, body, when }),
        2 => (key.clone(), 0..4_u8, when.clone()).prop_map(|(key, body, when)| Step::Multipart { key, body, when }),
        4 => (key, when).prop_map(|(key, when)| Step::Delete { key, when }),
        1 => Just(Step::DeleteAll),
        1 => Just(Step::Reopen),
    ]
}

/// The objects and jobs that a store should have after a history.
#[derive(Default)]
struct Expected {
    objects: BTreeMap<String, (Vec<u8>, String)>,
    /// Key and, unless it was a delete, `ETag`.
    jobs: Vec<(String, Option<String>)>,
}

impl Expected {
    fn precondition(&self, key: &str, when: When) -> (Precondition, bool) {
        let current = self.objects.get(key);
        match when {
            When::Always => (Precondition::None, true),
            When::Absent => (Precondition::Absent, current.is_none()),
            When::Same => match current {
                Some((_, etag)) => (Precondition::Etag(etag.clone()), true),
                None => (Precondition::Etag("none".to_owned()), false),
            },
            When::Other => (Precondition::Etag("other".to_owned()), false),
        }
    }

    fn settle(&mut self, key: &str, body: Vec<u8>, holds: bool, written: Result<SourceMeta>) {
        match written {
            Ok(meta) => {
                assert!(holds);
                self.objects.insert(key.to_owned(), (body, meta.etag.clone()));
                self.jobs.push((key.to_owned(), Some(meta.etag)));
            }
            Err(Error::PreconditionFailed) => assert!(!holds),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn remove(&mut self, key: &str) {
        if self.objects.remove(key).is_some() {
            self.jobs.push((key.to_owned(), None));
        }
    }
}

async fn replay(steps: Vec<Step>) {
    let mut data = Data::new();
    let mut store = data.store();
    let mut expected = Expected::default();
    for step in steps {
        match step {
            Step::Put { key, body, when } => {
                let (key, body) = (KEYS[key], vec![body; 10]);
                let (precondition, holds) = expected.precondition(key, when);
                let written = put_if(&store, key, &body, precondition).await;
                expected.settle(key, body, holds, written);
            }
            Step::Multipart { key, body, when } => {
                let (name, body) = (KEYS[key], vec![body; 20]);
                let (precondition, holds) = expected.precondition(name, when);
                let key = super::key(name);
                let upload = begin(&store, name).await;
                let parts = vec![part(&store, name, &upload, 1, &body).await];
                let completion = Completion {
                    precondition,
                    ..Completion::default()
                };
                let written = store.complete_multipart(&key, &upload, parts, completion).await;
                if written.is_err() {
                    store.abort_multipart(&key, &upload).await.unwrap();
                }
                expected.settle(name, body, holds, written);
            }
            Step::Delete { key, when } => {
                let name = KEYS[key];
                let (precondition, holds) = expected.precondition(name, when);
                match store.delete_source(&super::key(name), precondition).await {
                    Ok(_) => {
                        assert!(holds);
                        expected.remove(name);
                    }
                    Err(Error::PreconditionFailed) => assert!(!holds),
                    Err(error) => panic!("{error:?}"),
                }
            }
            Step::DeleteAll => {
                let keys = KEYS.map(|name| (key(name), Precondition::None));
                store.delete_sources(keys.to_vec()).await.unwrap();
                KEYS.iter().for_each(|name| expected.remove(name));
            }
            Step::Reopen => store = data.reopen(store),
        }
    }
    compare(&store, &expected).await;
    data.close(store);
    assert_eq!(
        data.files().len(),
        expected.objects.len(),
        "files and rows are in step"
    );
}

async fn compare(store: &Store, expected: &Expected) {
    let request = ListSources {
        from: ListFrom::Start,
        limit: 100,
        ..ListSources::default()
    };
    let listing = store.list_sources(request).await.unwrap();
    let listed: Vec<(String, String)> = listing
        .items
        .into_iter()
        .map(|item| match item {
            Listed::Object(entry) => (entry.key, entry.etag),
            Listed::CommonPrefix(common) => panic!("{common}"),
        })
        .collect();
    let wanted: Vec<(String, String)> = expected
        .objects
        .iter()
        .map(|(key, (_, etag))| (key.clone(), etag.clone()))
        .collect();
    assert_eq!(listed, wanted);
    for (key, (body, _)) in &expected.objects {
        let object = store.sources().get(key, GetOptions::default()).await.unwrap();
        assert_eq!(object.body, body);
    }
    let jobs = drain(store).await;
    let queued: Vec<(String, Option<String>)> = jobs
        .iter()
        .map(|job| (job.key.as_str().to_owned(), etag_of(&job.work).map(str::to_owned)))
        .collect();
    assert_eq!(queued, expected.jobs, "every change made one job, in order");
    assert!(jobs.windows(2).all(|pair| pair[0].order < pair[1].order));
    for key in expected.objects.keys() {
        let meta = store.head_source(key).await.unwrap();
        let newest = jobs.iter().rfind(|job| job.key == meta.key).unwrap();
        assert_eq!(newest.order, Order::of_event(meta.sequencer));
    }
}

#[test]
fn random_histories_end_as_a_map_would() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner
        .run(&prop::collection::vec(step(), 1..40), |steps| {
            runtime.block_on(replay(steps));
            Ok(())
        })
        .unwrap();
}
