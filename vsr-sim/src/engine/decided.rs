//! Bad luck written out: what becomes of single packets whatever the rates say, and how it is learnt from a run.
//!
//! A run with random losses, copies and delays can so be told without any chance in it: record what the rates did to which
//! packet, decide just that for those packets, and set the rates to zero. The run stays the same, event for event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::PacketName;
use super::time::Span;

/// What becomes of a packet, as far as it is bad luck.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PacketFate {
    /// It is lost.
    Lost,
    /// It comes later than it would.
    Late {
        /// By how much.
        by: Span,
    },
    /// It comes twice.
    Twice {
        /// By how much the second comes later than it would.
        #[serde(default, skip_serializing_if = "is_zero")]
        late: Span,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(span: &Span) -> bool {
    *span == Span::ZERO
}

/// The fates that are decided, by packet; one packet may come late and twice.
#[derive(Debug, Default)]
pub(super) struct Decided {
    fates: Vec<(PacketName, PacketFate)>,
}

/// What is decided of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) is_lost: bool,
    pub(super) late: Span,
    pub(super) copy_late: Option<Span>,
}

impl Decided {
    pub(super) fn clear(&mut self) {
        self.fates.clear();
    }

    pub(super) fn add(&mut self, name: PacketName, fate: PacketFate) {
        if let Err(place) = self.fates.binary_search(&(name, fate)) {
            self.fates.insert(place, (name, fate));
        }
    }

    /// What is decided of the packet called `name`.
    #[inline]
    pub(super) fn of(&self, name: &PacketName) -> Decision {
        if self.fates.is_empty() { Decision::default() } else { self.look_up(name) }
    }

    fn look_up(&self, name: &PacketName) -> Decision {
        let first = self.fates.partition_point(|(other, _)| other < name);
        let mut decision = Decision::default();
        for (_, fate) in self.fates[first..].iter().take_while(|(other, _)| other == name) {
            match *fate {
                PacketFate::Lost => decision.is_lost = true,
                PacketFate::Late { by } => decision.late = decision.late.plus(by),
                PacketFate::Twice { late } => {
                    decision.copy_late = Some(decision.copy_late.unwrap_or_default().plus(late));
                }
            }
        }
        decision
    }
}

/// Writes down what became of which packet, if it was asked to.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    recorded: Option<Vec<(PacketName, PacketFate)>>,
}

impl Recorder {
    pub(super) fn stop(&mut self) {
        self.recorded = None;
    }

    pub(super) fn start(&mut self) {
        self.recorded = Some(Vec::new());
    }

    pub(super) fn take(&mut self) -> Vec<(PacketName, PacketFate)> {
        self.recorded.take().unwrap_or_default()
    }

    #[inline]
    pub(super) fn note(&mut self, name: &PacketName, fate: PacketFate) {
        if let Some(recorded) = &mut self.recorded {
            recorded.push((*name, fate));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::node::NodeIndex;

    #[test]
    fn a_packet_may_come_late_and_twice_and_the_next_one_as_ever() {
        let name = |nth| PacketName {
            from: NodeIndex::new(0),
            to: NodeIndex::new(1),
            kind: 2,
            identity: 9,
            nth,
        };
        let mut decided = Decided::default();
        assert_eq!(decided.of(&name(0)), Decision::default());
        decided.add(name(3), PacketFate::Lost);
        decided.add(name(1), PacketFate::Twice { late: Span::from_ms(2) });
        decided.add(name(1), PacketFate::Late { by: Span::from_ms(1) });
        decided.add(name(1), PacketFate::Late { by: Span::from_ms(1) });
        let both =
            Decision { is_lost: false, late: Span::from_ms(1), copy_late: Some(Span::from_ms(2)) };
        assert_eq!(decided.of(&name(1)), both);
        assert_eq!(decided.of(&name(2)), Decision::default());
        assert!(decided.of(&name(3)).is_lost);
    }
}
