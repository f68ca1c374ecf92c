//! The open connections: their number, the share of each address, which one is closed to make room, and the counts of
//! how they ended.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tintype_edge::ConnectionCounts;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::client_wait::{ClientWait, WaitLimit};

/// The time after which connections are looked at again when all of them were being answered.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The number of connections that are held open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// All together.
    pub(crate) connections: usize,
    /// From one address.
    pub(crate) per_address: usize,
}

/// The end of a connection by neither its client's nor the server's will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The wait for the client reached its limit.
    TimedOut,
    /// The client sent bytes that are no HTTP/1.1.
    Malformed,
}

/// Every open connection.
#[derive(Debug)]
pub(crate) struct Connections {
    capacity: Capacity,
    limit: WaitLimit,
    table: Mutex<Table>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    open: HashMap<u64, Entry>,
    by_address: HashMap<IpAddr, usize>,
    counts: ConnectionCounts,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    wait: Arc<ClientWait>,
    close: CancellationToken,
}

/// One open connection in the table; dropping it removes it from there.
#[derive(Debug)]
pub(crate) struct Slot {
    number: u64,
    connections: Arc<Connections>,
    /// The wait for its client.
    pub(crate) wait: Arc<ClientWait>,
    /// Cancelled when the connection has to be closed to make room.
    pub(crate) close: CancellationToken,
}

/// The answer to a new connection.
#[derive(Debug)]
enum Admission {
    Admitted(Slot),
    /// Its address has its share, and all of them are being answered.
    Refused,
    /// Every connection is being answered.
    Full,
}

impl Connections {
    pub(crate) fn new(capacity: Capacity, limit: WaitLimit) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            limit,
            table: Mutex::default(),
            closed: Notify::new(),
        })
    }

    /// The limit of the wait for each client.
    pub(crate) const fn limit(&self) -> WaitLimit {
        self.limit
    }

    /// The slot of a new connection from this address; `None` when it is refused, because the address has its share and
    /// all of its connections are being answered.
    ///
    /// One connection too many closes the one whose client the server has waited for the longest, first among those of the
    /// same address. Waits while every connection is being answered.
    pub(crate) async fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let address = network(peer);
        loop {
            let closed = self.closed.notified();
            match self.try_admit(address, Instant::now()) {
                Admission::Admitted(slot) => return Some(slot),
                Admission::Refused => return None,
                Admission::Full => {
                    let _ = tokio::time::timeout(LOOK_AGAIN, closed).await;
                }
            }
        }
    }

    /// Closes the connection whose client the server has waited for the longest, if it waits for any.
    pub(crate) fn close_slowest(&self) {
        self.lock().close_slowest(Instant::now(), |_| true);
    }

    /// Counts a connection that ended in this way.
    pub(crate) fn count(&self, ending: Ending) {
        let mut table = self.lock();
        match ending {
            Ending::TimedOut => table.counts.timed_out += 1,
            Ending::Malformed => table.counts.malformed += 1,
        }
    }

    /// The number of open connections, and how others ended.
    pub(crate) fn counts(&self) -> ConnectionCounts {
        let table = self.lock();
        ConnectionCounts {
            open: table.open.len() as u64,
            ..table.counts
        }
    }

    fn try_admit(self: &Arc<Self>, address: IpAddr, now: Instant) -> Admission {
        let mut table = self.lock();
        let share = table.by_address.get(&address).copied().unwrap_or_default();
        if share >= self.capacity.per_address && !table.close_slowest(now, |entry| entry.address == address) {
            table.counts.refused += 1;
            return Admission::Refused;
        }
        if table.open.len() >= self.capacity.connections && !table.close_slowest(now, |_| true) {
            return Admission::Full;
        }
        Admission::Admitted(self.insert(&mut table, address, now))
    }

    fn insert(self: &Arc<Self>, table: &mut Table, address: IpAddr, now: Instant) -> Slot {
        table.last += 1;
        table.counts.accepted += 1;
        let slot = Slot {
            number: table.last,
            connections: self.clone(),
            wait: Arc::new(ClientWait::new(self.limit, now)),
            close: CancellationToken::new(),
        };
        let entry = Entry {
            address,
            wait: slot.wait.clone(),
            close: slot.close.clone(),
        };
        table.open.insert(slot.number, entry);
        *table.by_address.entry(address).or_default() += 1;
        slot
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Closes the one of these whose client the server has waited for the longest. Returns whether there was one.
    fn close_slowest(&mut self, now: Instant, among: impl Fn(&Entry) -> bool) -> bool {
        let slowest = self
            .open
            .iter()
            .filter(|(_, entry)| among(entry))
            .filter_map(|(number, entry)| Some((entry.wait.spent(now)?, *number)))
            .max_by_key(|(spent, number)| (*spent, std::cmp::Reverse(*number)));
        let Some((_, number)) = slowest else {
            return false;
        };
        if let Some(entry) = self.remove(number) {
            self.counts.closed_for_room += 1;
            entry.close.cancel();
        }
        true
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.open.remove(&number)?;
        if let Some(count) = self.by_address.get_mut(&entry.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&entry.address);
            }
        }
        Some(entry)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.lock().remove(self.number);
        self.connections.closed.notify_waiters();
    }
}

/// The addresses that count as one: in IPv6 a network of 64 bits, because each customer of a provider has at least one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: WaitLimit = WaitLimit {
        timeout: Duration::from_hours(1),
        min_rate: 1,
    };

    fn connections(connections: usize, per_address: usize) -> Arc<Connections> {
        let capacity = Capacity {
            connections,
            per_address,
        };
        Connections::new(capacity, LIMIT)
    }

    fn admitted(connections: &Arc<Connections>, address: IpAddr, now: Instant) -> Slot {
        match connections.try_admit(address, now) {
            Admission::Admitted(slot) => slot,
            other => panic!("{other:?}"),
        }
    }

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn one_more_than_there_may_be_closes_the_one_that_was_waited_for_the_longest() {
        let connections = connections(3, 3);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let served = admitted(&connections, address(1), at(0));
        served.wait.reset();
        let slow = admitted(&connections, address(2), at(1));
        let quick = admitted(&connections, address(3), at(2));
        let fourth = admitted(&connections, address(4), at(3));
        assert!(slow.close.is_cancelled());
        drop(slow);
        assert!(!served.close.is_cancelled() && !quick.close.is_cancelled());
        // Bytes are subtracted from the wait.
        quick.wait.reset();
        quick.wait.start(at(3));
        quick.wait.moved(100, at(4));
        quick.wait.start(at(4));
        let fifth = admitted(&connections, address(5), at(5));
        assert!(fourth.close.is_cancelled() && !quick.close.is_cancelled());
        for slot in [&quick, &fifth] {
            slot.wait.reset();
        }
        let sixth = connections.try_admit(address(6), at(6));
        assert!(
            matches!(sixth, Admission::Full),
            "all are being answered: {sixth:?}"
        );
        drop(served);
        let _sixth = admitted(&connections, address(6), at(6));
        let counts = connections.counts();
        assert_eq!((counts.open, counts.accepted, counts.closed_for_room), (3, 6, 2));
    }

    #[test]
    fn an_address_that_has_its_share_closes_its_own_connections() {
        let connections = connections(10, 2);
        let start = Instant::now();
        let other = admitted(&connections, address(9), start);
        let mut slots: Vec<Slot> = (0..100)
            .map(|_| admitted(&connections, address(1), start))
            .collect();
        let open: Vec<usize> = (0..100)
            .filter(|&number| !slots[number].close.is_cancelled())
            .collect();
        assert_eq!(open, [98, 99]);
        assert!(!other.close.is_cancelled());
        // Requests that are being answered are not cut off: the new connection is refused, those of others are not.
        let mut answered = slots.split_off(98);
        answered.iter().for_each(|slot| slot.wait.reset());
        let third = connections.try_admit(address(1), start);
        assert!(matches!(third, Admission::Refused), "{third:?}");
        assert!(answered.iter().all(|slot| !slot.close.is_cancelled()));
        let another = admitted(&connections, address(8), start);
        assert_eq!(connections.counts().refused, 1);
        answered.pop();
        let third = admitted(&connections, address(1), start);
        drop((third, another, answered, slots, other));
        assert!(connections.lock().by_address.is_empty() && connections.lock().open.is_empty());
    }

    #[test]
    fn a_network_counts_as_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), address(1));
        assert_ne!(of("::ffff:10.0.0.1"), of("::ffff:10.0.0.2"));
    }

    #[tokio::test]
    async fn a_connection_that_waits_is_admitted_when_another_is_closed() {
        let connections = connections(1, 1);
        let first = connections.admit(address(1)).await.unwrap();
        first.wait.reset();
        let waiting = tokio::spawn({
            let connections = connections.clone();
            async move { connections.admit(address(2)).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap().expect("it is admitted");
    }
}
