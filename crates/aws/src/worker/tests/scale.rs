//! Calls to the stores for each message, while there are ever more records.
//!
//! `TINTYPE_EVENTS=100000 cargo nextest run -p tintype-aws no_message_takes_more_calls` sends a hundred thousand.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tintype_model::testing::Counted;
use tintype_model::{ObjectStore, PutOptions};

use super::failed;
use super::history::Dice;
use super::world::{World, etag_of, message, notice};
use crate::worker::Parts;

/// The number of messages at the beginning and at the end that are compared.
const WINDOW: usize = 1_500;

/// The key that all others are below.
const FOLDER: &str = "import";

/// The subject of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Upload,
    Overwrite,
    BadPicture,
    Again,
    Late,
    Removal,
    Foreign,
    UploadOfTheFolder,
    RemovalOfTheFolder,
}

/// The most calls that a message of a kind took, by store and method.
type Most = BTreeMap<(Kind, &'static str, &'static str), u64>;

/// The bucket, as far as its events go.
#[derive(Debug)]
struct Bucket {
    world: World,
    dice: Dice,
    sequencer: u64,
    /// The events of each key, the newest last.
    events: Vec<(String, Vec<String>)>,
    folder_is_there: bool,
}

impl Bucket {
    fn some_key(&self) -> usize {
        self.dice.below(self.events.len())
    }

    async fn upload(&mut self, key: &str, content: &str) -> String {
        self.sequencer += 1;
        self.world.put(key, content).await;
        notice("ObjectCreated:Put", key, self.sequencer, Some(&etag_of(content)))
    }

    async fn remove(&mut self, key: &str) -> String {
        self.sequencer += 1;
        self.world.delete(key).await;
        notice("ObjectRemoved:DeleteMarkerCreated", key, self.sequencer, None)
    }

    /// A change of a key that there is, with its event.
    async fn change(&mut self, kind: Kind) -> String {
        let index = self.some_key();
        let key = self.events[index].0.clone();
        let word = if kind == Kind::BadPicture {
            "bad"
        } else {
            "picture"
        };
        let event = match kind {
            Kind::Removal => self.remove(&key).await,
            _ => {
                let content = format!("{word} {}", self.sequencer);
                self.upload(&key, &content).await
            }
        };
        self.events[index].1.push(event.clone());
        event
    }

    /// The next message, and its kind.
    async fn next(&mut self) -> (Kind, String) {
        let chance = self.dice.below(100);
        if self.events.is_empty() || chance < 40 {
            // Some are where renditions of the folder's own key could be.
            let below = if self.dice.below(8) == 0 { "medium.x/" } else { "" };
            let key = format!("{FOLDER}/{below}{}.jpg", self.sequencer);
            let event = self.upload(&key, "picture").await;
            self.events.push((key, vec![event.clone()]));
            return (Kind::Upload, event);
        }
        if chance < 44 {
            self.folder_is_there = !self.folder_is_there;
            return if self.folder_is_there {
                (Kind::UploadOfTheFolder, self.upload(FOLDER, "picture").await)
            } else {
                (Kind::RemovalOfTheFolder, self.remove(FOLDER).await)
            };
        }
        let events = &self.events[self.some_key()].1;
        match chance {
            44..58 => (Kind::Overwrite, self.change(Kind::Overwrite).await),
            58..66 => (Kind::BadPicture, self.change(Kind::BadPicture).await),
            66..74 => (Kind::Removal, self.change(Kind::Removal).await),
            74..84 => (Kind::Again, events[events.len() - 1].clone()),
            84..92 => (Kind::Late, events[0].clone()),
            _ => {
                let event = events[0].replace("\"raw\"", "\"somebody-elses\"");
                (Kind::Foreign, event)
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the size of this test, not configuration"
)]
fn number_of_events() -> usize {
    let asked = std::env::var("TINTYPE_EVENTS").ok();
    let number = asked.map_or(4 * WINDOW, |number| {
        number.parse().expect("TINTYPE_EVENTS is a number")
    });
    assert!(number >= 2 * WINDOW, "TINTYPE_EVENTS is less than {}", 2 * WINDOW);
    number
}

#[tokio::test]
async fn no_message_takes_more_calls_because_there_are_more_records() {
    let mut stores = None;
    let world = World::with(|parts| {
        let sources = Arc::new(Counted::new(parts.sources));
        let renditions = Arc::new(Counted::new(parts.renditions));
        let metadata = Arc::new(Counted::new(parts.metadata));
        stores = Some((sources.clone(), renditions.clone(), metadata.clone()));
        Parts {
            sources,
            renditions,
            metadata,
            ..parts
        }
    });
    let (sources, renditions, records) = stores.expect("the world has parts");
    // More than one answer of a listing has room for, where renditions of the folder's own key could be.
    for number in 0..1_200 {
        let key = format!("{FOLDER}/medium.x/before/{number}.avif");
        let body = Bytes::from_static(b"of another picture");
        world
            .renditions
            .put(&key, body, PutOptions::default())
            .await
            .unwrap();
    }
    let mut bucket = Bucket {
        world,
        dice: Dice::new(14),
        sequencer: 0,
        events: Vec::new(),
        folder_is_there: false,
    };
    let (mut first, mut last) = (Most::new(), Most::new());
    let number = number_of_events();
    for done in 0..number {
        let (kind, body) = bucket.next().await;
        let response = bucket.world.handle(vec![message("m", 1, &body)]).await;
        assert_eq!(failed(&response), [""; 0], "{body}");
        let calls = [
            ("sources", sources.take()),
            ("renditions", renditions.take()),
            ("records", records.take()),
        ];
        let most = match done {
            _ if done < WINDOW => &mut first,
            _ if done >= number - WINDOW => &mut last,
            _ => continue,
        };
        for (store, calls) in calls {
            for (method, calls) in calls {
                let most = most.entry((kind, store, method)).or_default();
                *most = calls.max(*most);
            }
        }
    }
    assert_eq!(
        first, last,
        "the most calls of the first and of the last messages"
    );
    let of = |kind, store, method| first.get(&(kind, store, method)).copied();
    assert_eq!(of(Kind::Upload, "renditions", "put"), Some(9));
    assert_eq!(of(Kind::Upload, "renditions", "list"), None);
    assert_eq!(of(Kind::RemovalOfTheFolder, "renditions", "delete"), Some(9));
    assert!(first.keys().all(|(kind, ..)| *kind != Kind::Foreign), "{first:?}");
    assert!(
        first
            .keys()
            .all(|(_, store, method)| *store != "records" || *method != "list"),
        "{first:?}"
    );
}
