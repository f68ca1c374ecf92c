//! The connections that are held open: how many there may be, whose they are, and which one goes when there are too
//! many.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::pace::{Pace, Patience};

/// The time after which a full house is looked at again, in case that one of its clients has begun to keep it waiting.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The number of connections that are held open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// All together.
    pub(crate) connections: usize,
    /// From one address. Beyond it each new connection closes one of the same address, if any keeps the server
    /// waiting; those that are being answered do not count as too many.
    pub(crate) per_address: usize,
}

/// Every open connection.
#[derive(Debug)]
pub(crate) struct House {
    capacity: Capacity,
    patience: Patience,
    guests: Mutex<Guests>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Guests {
    last: u64,
    present: HashMap<u64, Guest>,
    by_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Guest {
    address: IpAddr,
    pace: Arc<Pace>,
    leave: CancellationToken,
}

/// The place of one connection; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    house: Arc<House>,
    /// The connection's account.
    pub(crate) pace: Arc<Pace>,
    /// Cancelled when the connection has to go.
    pub(crate) leave: CancellationToken,
}

impl House {
    pub(crate) fn new(capacity: Capacity, patience: Patience) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            patience,
            guests: Mutex::default(),
            left: Notify::new(),
        })
    }

    /// A place for a connection from this address. When there are too many, the one goes that has kept the server
    /// waiting the longest, first among those of the same address. Waits only while every connection is being
    /// answered.
    pub(crate) async fn admit(self: &Arc<Self>, peer: IpAddr) -> Place {
        let address = neighbourhood(peer);
        loop {
            let left = self.left.notified();
            if let Some(place) = self.try_admit(address, Instant::now()) {
                return place;
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, left).await;
        }
    }

    /// Closes the connection that has kept the server waiting the longest, if any does.
    pub(crate) fn close_slowest(&self) {
        self.lock().close_slowest(Instant::now(), |_| true);
    }

    fn try_admit(self: &Arc<Self>, address: IpAddr, now: Instant) -> Option<Place> {
        let mut guests = self.lock();
        if guests.by_address.get(&address).copied().unwrap_or_default() >= self.capacity.per_address {
            guests.close_slowest(now, |guest| guest.address == address);
        }
        if guests.present.len() >= self.capacity.connections && !guests.close_slowest(now, |_| true) {
            return None;
        }
        guests.last += 1;
        let number = guests.last;
        let pace = Arc::new(Pace::new(self.patience, now));
        let leave = CancellationToken::new();
        let guest = Guest {
            address,
            pace: pace.clone(),
            leave: leave.clone(),
        };
        guests.present.insert(number, guest);
        *guests.by_address.entry(address).or_default() += 1;
        Some(Place {
            number,
            house: self.clone(),
            pace,
            leave,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guests {
    /// Whether there was one to close among these.
    fn close_slowest(&mut self, now: Instant, among: impl Fn(&Guest) -> bool) -> bool {
        let waiting = self.present.iter().filter(|(_, guest)| among(guest));
        let slowest = waiting
            .filter_map(|(number, guest)| Some((guest.pace.lag(now)?, *number)))
            .max_by_key(|(lag, number)| (*lag, std::cmp::Reverse(*number)));
        let Some((_, number)) = slowest else {
            return false;
        };
        if let Some(guest) = self.remove(number) {
            guest.leave.cancel();
        }
        true
    }

    fn remove(&mut self, number: u64) -> Option<Guest> {
        let guest = self.present.remove(&number)?;
        if let Some(count) = self.by_address.get_mut(&guest.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&guest.address);
            }
        }
        Some(guest)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.house.lock().remove(self.number);
        self.house.left.notify_waiters();
    }
}

/// The addresses that count as one: a network of 64 bits in IPv6, which any customer has to choose from.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        grace: Duration::from_hours(1),
        least_rate: 1,
    };

    fn house(connections: usize, per_address: usize) -> Arc<House> {
        let capacity = Capacity {
            connections,
            per_address,
        };
        House::new(capacity, PATIENCE)
    }

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn a_full_house_closes_who_has_kept_it_waiting_the_longest() {
        let house = house(3, 3);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let served = house.try_admit(address(1), at(0)).unwrap();
        served.pace.begin();
        let slow = house.try_admit(address(2), at(1)).unwrap();
        let quick = house.try_admit(address(3), at(2)).unwrap();
        let fourth = house.try_admit(address(4), at(3)).unwrap();
        assert!(slow.leave.is_cancelled());
        drop(slow);
        assert!(!served.leave.is_cancelled() && !quick.leave.is_cancelled());
        // Bytes make up for time.
        quick.pace.begin();
        quick.pace.wait(at(3));
        quick.pace.moved(100, at(4));
        quick.pace.wait(at(4));
        let fifth = house.try_admit(address(5), at(5)).unwrap();
        assert!(fourth.leave.is_cancelled() && !quick.leave.is_cancelled());
        for place in [&quick, &fifth] {
            place.pace.begin();
        }
        assert!(
            house.try_admit(address(6), at(6)).is_none(),
            "all are being answered"
        );
        drop(served);
        assert!(house.try_admit(address(6), at(6)).is_some());
    }

    #[test]
    fn an_address_that_has_its_share_makes_room_from_it() {
        let house = house(10, 2);
        let start = Instant::now();
        let other = house.try_admit(address(9), start).unwrap();
        let mut places: Vec<Place> = (0..100)
            .map(|_| house.try_admit(address(1), start).unwrap())
            .collect();
        let open: Vec<usize> = (0..100)
            .filter(|&number| !places[number].leave.is_cancelled())
            .collect();
        assert_eq!(open, [98, 99]);
        assert!(!other.leave.is_cancelled());
        // Requests that are being answered are not cut off, while there is room.
        let answered = places.split_off(98);
        answered.iter().for_each(|place| place.pace.begin());
        let third = house.try_admit(address(1), start).unwrap();
        assert!(answered.iter().all(|place| !place.leave.is_cancelled()));
        drop((third, answered, places, other));
        assert!(house.lock().by_address.is_empty() && house.lock().present.is_empty());
    }

    #[test]
    fn a_network_counts_as_one_address() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), address(1));
        assert_ne!(of("::ffff:10.0.0.1"), of("::ffff:10.0.0.2"));
    }

    #[tokio::test]
    async fn who_waits_gets_in_when_somebody_leaves() {
        let house = house(1, 1);
        let first = house.admit(address(1)).await;
        first.pace.begin();
        let waiting = tokio::spawn({
            let house = house.clone();
            async move { house.admit(address(2)).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
    }
}
