//! Where moto 5.2 differs from S3. Each difference is asserted, so that its exception goes when moto is corrected.

use async_trait::async_trait;
use bytes::Bytes;
use tintype_aws::store::S3ObjectStore;
use tintype_model::{
    Entry, GetOptions, Object, ObjectMeta, ObjectStore, Page, Precondition, PutOptions, Result, StoreError,
};

/// moto answers 404 to every request for a key with a line feed: its routes are regular expressions in which `.` does
/// not match one. A word takes its place.
#[derive(Debug)]
pub(crate) struct WithoutLineFeeds(S3ObjectStore);

const LINE_FEED: &str = "<line feed>";

impl WithoutLineFeeds {
    /// The store, once it has shown that it needs this.
    pub(crate) async fn new(store: S3ObjectStore) -> Self {
        let result = store.put("a\nb", Bytes::new(), PutOptions::default()).await;
        assert!(
            matches!(result, Err(StoreError::Unavailable(_))),
            "moto takes line feeds now: {result:?}"
        );
        Self(store)
    }

    fn sent(key: &str) -> String {
        key.replace('\n', LINE_FEED)
    }

    fn meant(key: &str) -> String {
        key.replace(LINE_FEED, "\n")
    }

    fn meta(meta: ObjectMeta) -> ObjectMeta {
        ObjectMeta {
            key: Self::meant(&meta.key),
            ..meta
        }
    }
}

#[async_trait]
impl ObjectStore for WithoutLineFeeds {
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
