//! The differences of moto 5.2 from S3. Each difference is asserted, so that its exception goes when moto is corrected.

use async_trait::async_trait;
use bytes::Bytes;
use tintype_aws::store::S3ObjectStore;
use tintype_model::{
    Entry, GetOptions, Object, ObjectMeta, ObjectStore, Page, Precondition, PutOptions, Result, StoreError,
};

/// Stands in for two kinds of keys:
///
/// - moto answers 404 to every request for a key with a line feed: its routes are regular expressions in which `.`
///   does not match one.
/// - moto repeats `start-after` as it is where `encoding-type=url` asks for it encoded, and XML cannot hold U+FFFF.
///
/// Both characters are replaced by others that keep the order of the suite's keys.
#[derive(Debug)]
pub(crate) struct MotoStore(S3ObjectStore);

const REPLACED: [(char, char); 2] = [('\n', '\u{2424}'), ('\u{ffff}', '\u{fffd}')];

impl MotoStore {
    /// The store, once it has shown that it needs this.
    pub(crate) async fn new(store: S3ObjectStore) -> Self {
        let put = store.put("a\nb", Bytes::new(), PutOptions::default()).await;
        assert!(
            matches!(put, Err(StoreError::Unavailable(_))),
            "moto takes line feeds now: {put:?}"
        );
        let list = store.list("", Some("\u{ffff}"), 1).await;
        assert!(
            matches!(list, Err(StoreError::Unavailable(_))),
            "moto encodes start-after now: {list:?}"
        );
        Self(store)
    }

    fn sent(key: &str) -> String {
        REPLACED.iter().fold(key.to_owned(), |key, (ours, theirs)| {
            key.replace(*ours, &theirs.to_string())
        })
    }

    fn meant(key: &str) -> String {
        REPLACED.iter().fold(key.to_owned(), |key, (ours, theirs)| {
            key.replace(*theirs, &ours.to_string())
        })
    }

    fn meta(meta: ObjectMeta) -> ObjectMeta {
        ObjectMeta {
            key: Self::meant(&meta.key),
            ..meta
        }
    }
}

#[async_trait]
impl ObjectStore for MotoStore {
    async fn get(&self, key: &str, options: GetOptions) -> Result<Object> {
        let object = self.0.get(&Self::sent(key), options).await?;
        Ok(Object {
            meta: Self::meta(object.meta),
            body: object.body,
        })
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta> {
        Ok(Self::meta(self.0.head(&Self::sent(key)).await?))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page<Entry>> {
        let after = after.map(Self::sent);
        let page = self.0.list(&Self::sent(prefix), after.as_deref(), limit).await?;
        let items = page.items.into_iter().map(|entry| Entry {
            key: Self::meant(&entry.key),
            ..entry
        });
        Ok(Page {
            items: items.collect(),
            next: page.next.as_deref().map(Self::meant),
        })
    }

    async fn put(&self, key: &str, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        Ok(Self::meta(self.0.put(&Self::sent(key), body, options).await?))
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<()> {
        self.0.delete(&Self::sent(key), precondition).await
    }
}
