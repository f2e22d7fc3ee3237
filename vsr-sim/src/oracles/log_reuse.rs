//! I20: a slot of the log is used again only when a checkpoint makes up for what it held.
//!
//! On this disk, so that a restart finds it; and on those of a replication quorum, so that it is not lost with one of them.

use vsr_core::number::{OpNumber, ReplicaIndex};

use super::facts::{Facts, Held};
use super::violation::{Property, Violation};

/// The disk of `replica` held `lost` in the slot where it now holds `held`.
pub(super) fn check(
    facts: &Facts,
    replica: ReplicaIndex,
    lost: &Held,
    held: &Held,
) -> Option<Box<Violation>> {
    if held.op <= lost.op {
        // Another view has another entry there, or something old has come back.
        return None;
    }
    let own = facts.promise(replica).checkpoint_op();
    if own < lost.op {
        let what = format!("the newest checkpoint on its disk is of {own}");
        return Some(broken(facts, replica, lost, held, "here", &what));
    }
    let has_had = |known: &&super::facts::ReplicaFacts| known.disk.checkpoint_max() >= lost.op;
    let count = facts.replicas.iter().filter(has_had).count();
    if count >= usize::from(facts.quorums.replication()) {
        return None;
    }
    let of = |known: &super::facts::ReplicaFacts| known.disk.checkpoint_max().to_string();
    let list: Vec<String> = facts.replicas.iter().map(of).collect();
    let what = format!(
        "the newest checkpoints are of {}, and {} of {} are needed",
        list.join(", "),
        facts.quorums.replication(),
        facts.quorums.replica_count(),
    );
    Some(broken(facts, replica, lost, held, "quorum", &what))
}

#[cold]
fn broken(
    facts: &Facts,
    replica: ReplicaIndex,
    lost: &Held,
    held: &Held,
    place: &str,
    what: &str,
) -> Box<Violation> {
    let Held { op, .. } = held;
    let message = format!("{replica} writes {op} over {}\n{what}", lost.op);
    facts.violation(Property::LogReuse, place, message)
}

/// `replica` says in a message of the kind `place` that a checkpoint of `said` is durable there.
pub(super) fn check_said(
    facts: &Facts,
    replica: ReplicaIndex,
    said: OpNumber,
    place: &str,
) -> Option<Box<Violation>> {
    let own = facts.replica(replica).disk.checkpoint_max();
    if said <= own {
        return None;
    }
    let message = format!(
        "{replica} says in its {place} that it has a checkpoint of {said}\nthe newest that its disk ever held is of {own}",
    );
    Some(facts.violation(Property::LogReuse, &format!("{place} says"), message))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vsr_core::header::Entry;

    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    /// The log goes on to the operation that needs the first slot again.
    fn at_wrap(forge: &mut Forge) -> Arc<Entry> {
        let slots = u64::from(forge.configuration.slots);
        loop {
            let number = forge.log.len() as u64;
            let request = forge.request(number, b"x");
            if forge.log.len() as u64 == slots {
                return forge.next(0, &request);
            }
            forge.append(0, &request);
        }
    }

    #[test]
    fn a_slot_may_be_used_again_behind_the_checkpoints_of_a_quorum() {
        let (mut forge, taken) = Forge::at_checkpoint();
        forge.store_checkpoint(0, &taken);
        forge.store_checkpoint(1, &taken);
        let entry = at_wrap(&mut forge);
        forge.store(0, &entry);
        assert_eq!(forge.fired(), []);
    }

    #[test]
    fn without_a_checkpoint_on_that_disk_it_may_not() {
        let (mut forge, taken) = Forge::at_checkpoint();
        forge.store_checkpoint(0, &taken);
        forge.store_checkpoint(1, &taken);
        let entry = at_wrap(&mut forge);
        forge.store(2, &entry);
        assert_eq!(forge.fired(), [Property::LogReuse]);
    }

    #[test]
    fn one_checkpoint_is_not_enough() {
        let (mut forge, taken) = Forge::at_checkpoint();
        forge.store_checkpoint(0, &taken);
        let entry = at_wrap(&mut forge);
        forge.store(0, &entry);
        assert_eq!(forge.fired(), [Property::LogReuse]);
        // Lost with that disk, it would be in no log and in no checkpoint that whoever is behind can ask for.
    }

    #[test]
    fn a_checkpoint_that_is_only_talked_about_is_told() {
        let (mut forge, taken) = Forge::at_checkpoint();
        forge.store_checkpoint(0, &taken);
        let entry = Arc::clone(&forge.log[0]);
        forge.ack_with(0, 0, &entry, taken.op().get());
        assert_eq!(forge.fired(), []);
        forge.ack_with(1, 0, &entry, taken.op().get());
        assert_eq!(forge.fired(), [Property::LogReuse]);
    }
}
