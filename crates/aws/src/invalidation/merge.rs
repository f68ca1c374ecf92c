//! Merges many keys into few paths.

use tintype_model::ObjectKey;

use super::path::{EVERYTHING, Scope};

/// The most scopes of one request. A scope of plain characters is three paths, so four leave a fifth of the fifteen
/// paths with a wildcard that may be in progress, for invalidations by hand.
pub(super) const MOST_SCOPES: usize = 4;

/// The most paths of one request.
pub(super) const MOST_PATHS: usize = 12;

/// The scopes of these keys, in order and without those that another one contains.
pub(super) fn scopes<'a>(keys: impl IntoIterator<Item = &'a ObjectKey>) -> Vec<Scope> {
    let mut scopes: Vec<Scope> = keys.into_iter().map(Scope::of).collect();
    scopes.sort_unstable();
    // A scope that begins with another one follows it.
    scopes.dedup_by(|later, earlier| earlier.contains(later));
    scopes
}

/// At most `most` scopes that contain all of these, which are in order.
///
/// They are divided where neighbours have least in common, so that each part is as narrow as such a division allows.
pub(super) fn merge(scopes: &[Scope], most: usize) -> Vec<Scope> {
    let common = |index: usize| scopes[index].common(&scopes[index + 1]);
    let mut gaps: Vec<usize> = (0..scopes.len().saturating_sub(1)).collect();
    gaps.sort_by_key(|&index| common(index));
    gaps.truncate(most.saturating_sub(1));
    gaps.sort_unstable();
    let mut merged = Vec::new();
    let mut start = 0;
    for end in gaps.into_iter().map(|gap| gap + 1).chain([scopes.len()]) {
        let length = (start..end.saturating_sub(1)).map(common).min();
        if let Some(first) = scopes[start..end].first() {
            merged.push(length.map_or_else(|| first.clone(), |length| first.widened(length)));
        }
        start = end;
    }
    merged
}

/// Paths that are in none of the others, in order.
fn without_contained(mut paths: Vec<String>) -> Vec<String> {
    // In the order of the text before the wildcard: a path that begins with another one follows it.
    let prefix = |path: &str| path.strip_suffix('*').unwrap_or(path).to_owned();
    paths.sort_by_cached_key(|path| prefix(path));
    paths.dedup_by(|later, earlier| later.starts_with(&prefix(earlier)));
    paths
}

/// The paths of one request for these scopes: as narrow as `budget` paths allow.
pub(super) fn paths(scopes: &[Scope], budget: usize) -> Vec<String> {
    let of = |scopes: Vec<Scope>| without_contained(scopes.iter().flat_map(Scope::paths).collect());
    let narrower = (1..=MOST_SCOPES).rev().map(|most| of(merge(scopes, most)));
    let fits = |paths: &Vec<String>| paths.len() <= budget;
    narrower
        .chain([plain_paths(&merge(scopes, 1))])
        .find(fits)
        .unwrap_or_else(|| vec![EVERYTHING.to_owned()])
}

/// The paths of these scopes up to the first character that clients escape differently.
pub(super) fn plain_paths(scopes: &[Scope]) -> Vec<String> {
    without_contained(
        scopes
            .iter()
            .map(Scope::plain)
            .flat_map(|scope| scope.paths())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(keys: &[&str]) -> Vec<ObjectKey> {
        keys.iter().map(|key| ObjectKey::new(*key).unwrap()).collect()
    }

    fn merged(names: &[&str], budget: usize) -> Vec<String> {
        paths(&scopes(&keys(names)), budget)
    }

    #[test]
    fn few_keys_are_named_one_by_one() {
        assert_eq!(
            merged(&["b.jpg", "a.jpg", "b.jpg"], MOST_PATHS),
            [
                "/a.jpg/*",
                "/b.jpg/*",
                "/img/a.jpg/*",
                "/img/b.jpg/*",
                "/v/a.jpg/*",
                "/v/b.jpg/*"
            ]
        );
        let four = merged(&["a.jpg", "b.jpg", "c.jpg", "d.jpg"], MOST_PATHS);
        assert_eq!(four.len(), 12);
    }

    #[test]
    fn many_keys_are_divided_where_they_have_least_in_common() {
        let names = [
            "shop/1.jpg",
            "shop/2.jpg",
            "shop/30.jpg",
            "team/a.jpg",
            "team/b.jpg",
            "x.jpg",
            "y.jpg",
        ];
        let rewritten: Vec<String> = merged(&names, MOST_PATHS)
            .into_iter()
            .filter(|path| !path.starts_with("/img/") && !path.starts_with("/v/"))
            .collect();
        assert_eq!(rewritten, ["/shop/*", "/team/*", "/x.jpg/*", "/y.jpg/*"]);
    }

    #[test]
    fn keys_below_another_cost_nothing() {
        assert_eq!(
            merged(&["a", "a/b", "a/b/c"], MOST_PATHS),
            ["/a/*", "/img/a/*", "/v/a/*"]
        );
    }

    #[test]
    fn a_smaller_budget_is_kept_to_the_last_path() {
        let names = ["shop/(1).jpg", "shop/(2).jpg"];
        assert_eq!(merged(&names, 12).len(), 12);
        assert_eq!(
            merged(&names, 6),
            [
                "/img/shop/%28*",
                "/img/shop/(*",
                "/shop/%28*",
                "/shop/(*",
                "/v/shop/%28*",
                "/v/shop/(*",
            ]
        );
        assert_eq!(merged(&names, 3), ["/img/shop/*", "/shop/*", "/v/shop/*"]);
        assert_eq!(merged(&names, 1), ["/*"]);
        assert_eq!(
            merged(&["a.jpg", "z.jpg"], 3),
            ["/*"],
            "they have nothing in common"
        );
    }

    #[test]
    fn what_the_rewritten_path_covers_is_not_paid_for_twice() {
        // Everything that begins with "i" is under /i*, /img/... too.
        assert_eq!(merged(&["i~1"], MOST_PATHS), ["/i*", "/v/i*"]);
    }

    #[test]
    fn an_asterisk_of_a_name_is_no_wildcard() {
        let paths = merged(&["a*~1", "ab"], MOST_PATHS);
        assert!(paths.contains(&"/img/ab/*".to_owned()), "{paths:?}");
    }

    proptest! {
        #[test]
        fn every_key_is_covered_within_the_budget(
            names in prop::collection::vec("[ab/~(*é ]{1,6}", 1..40),
            budget in 1_usize..=MOST_PATHS,
        ) {
            let keys: Vec<ObjectKey> = names.into_iter().map(|name| ObjectKey::new(name).unwrap()).collect();
            let paths = paths(&scopes(&keys), budget);
            prop_assert!(!paths.is_empty() && paths.len() <= budget);
            for key in &keys {
                for uri in super::super::tests::cached_uris(key) {
                    let covered = paths.iter().any(|path| uri.starts_with(&path[..path.len() - 1]));
                    prop_assert!(covered, "{uri} by {paths:?}");
                }
            }
        }

        #[test]
        fn no_path_is_one_that_cloudfront_refuses(names in prop::collection::vec("\\PC{1,20}", 1..20)) {
            let keys: Vec<ObjectKey> = names.into_iter().map(|name| ObjectKey::new(name).unwrap()).collect();
            for path in paths(&scopes(&keys), MOST_PATHS) {
                prop_assert!(path.starts_with('/') && path.ends_with('*') && path.is_ascii(), "{path}");
                prop_assert!(!path.contains(['~', ' ', '"', '<', '>', '#', '?', '\\', '^', '`', '{', '|', '}', '[', ']']), "{path}");
                prop_assert!(!path.contains("%7E") && path.len() <= 4000, "{path}");
            }
        }
    }
}
