//! Work on a bounded number of threads. Results never depend on the number of threads.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Calls `work` with each band of `data`, `band_bytes` long but for the last, and its number.
pub(crate) fn for_bands(
    threads: usize,
    data: &mut [u8],
    band_bytes: usize,
    work: impl Fn(usize, &mut [u8]) + Sync,
) {
    let bands = data.chunks_mut(band_bytes.max(1));
    let threads = threads.min(bands.len());
    let bands = Mutex::new(bands.enumerate());
    run(threads, || {
        while let Some((number, band)) = next(&bands) {
            work(number, band);
        }
    });
}

/// Calls `work` with each item; items are begun in their order.
pub(crate) fn for_each<T: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) + Sync) {
    let threads = threads.min(items.len());
    let items = Mutex::new(items.into_iter());
    run(threads, || {
        while let Some(item) = next(&items) {
            work(item);
        }
    });
}

/// Calls `work` with each item, begun in their order, and gives the results in the same order.
pub(crate) fn map<T: Send, R: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let numbered = items.into_iter().enumerate().collect();
    for_each(threads, numbered, |(number, item)| {
        let result = work(item);
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.push((number, result));
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The next item, for one of the threads that share them.
pub(crate) fn next<I: Iterator>(items: &Mutex<I>) -> Option<I::Item> {
    items.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// Runs `worker` on this thread and on up to `threads - 1` more, fewer where the system refuses them.
fn run(threads: usize, worker: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 1..threads {
            if thread::Builder::new().spawn_scoped(scope, &worker).is_err() {
                break;
            }
        }
        worker();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_band_is_visited_once_whatever_the_number_of_threads() {
        for threads in [0, 1, 2, 7] {
            let mut data = vec![0u8; 1003];
            for_bands(threads, &mut data, 100, |number, band| {
                band.iter_mut()
                    .for_each(|byte| *byte += 1 + u8::try_from(number).unwrap());
            });
            let expected: Vec<u8> = (0..1003u32)
                .map(|at| u8::try_from(1 + at / 100).unwrap())
                .collect();
            assert_eq!(data, expected);
        }
    }

    #[test]
    fn nothing_to_do_is_done() {
        for_bands(4, &mut [], 0, |_, _| panic!("no band"));
        for_each(4, Vec::<u8>::new(), |_| panic!("no item"));
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for threads in [0, 1, 2, 7] {
            let doubled = map(threads, (0..1000).collect(), |number| number * 2);
            assert_eq!(doubled, (0..1000).map(|number| number * 2).collect::<Vec<_>>());
        }
    }
}
