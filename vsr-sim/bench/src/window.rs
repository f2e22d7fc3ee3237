//! What the sender keeps, the same for both peers: as in our own process, a ring of the values under way.

use crate::WINDOW;

/// A value under way.
#[derive(Clone, Copy)]
struct UnderWay {
    value: u64,
    acknowledged: u8,
    retry_at_ms: u64,
}

/// The values under way.
pub(crate) struct Window {
    values: u64,
    next: u64,
    settled: u64,
    under_way: [Option<UnderWay>; WINDOW as usize],
}

impl Window {
    pub(crate) const fn of(values: u64) -> Self {
        Self { values, next: 0, settled: 0, under_way: [None; WINDOW as usize] }
    }

    pub(crate) const fn is_finished(&self) -> bool {
        self.settled == self.values
    }

    /// Takes an acknowledgement by `from`.
    pub(crate) fn acknowledge(&mut self, value: u64, from: u8) {
        let place = &mut self.under_way[(value % WINDOW) as usize];
        let Some(under_way) = place.as_mut().filter(|one| one.value == value) else { return };
        under_way.acknowledged |= 1 << from;
        if under_way.acknowledged.count_ones() >= 3 {
            *place = None;
            self.settled += 1;
        }
    }

    /// Appends to `due` each value that is to be sent now, with those who have acknowledged it already.
    pub(crate) fn due(&mut self, now_ms: u64, retry_ms: u64, due: &mut Vec<(u64, u8)>) {
        for one in self.under_way.iter_mut().flatten().filter(|one| one.retry_at_ms <= now_ms) {
            one.retry_at_ms = now_ms + retry_ms;
            due.push((one.value, one.acknowledged));
        }
        while self.next < self.values && self.under_way[(self.next % WINDOW) as usize].is_none() {
            let value = self.next;
            self.next += 1;
            let one = UnderWay { value, acknowledged: 0, retry_at_ms: now_ms + retry_ms };
            self.under_way[(value % WINDOW) as usize] = Some(one);
            due.push((value, 0));
        }
    }
}
