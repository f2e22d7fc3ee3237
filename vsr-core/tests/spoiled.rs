//! Disks that have been spoiled while all replicas were down, and what comes back of what was on them.

#[path = "../fuzz/fuzz_targets/common/group.rs"]
#[expect(unreachable_pub, reason = "the fuzz targets use it too, and there it is public")]
mod group;

use group::{Diary, Disk, Group, SECTOR};
use vsr_core::Replica;
use vsr_core::configuration::Configuration;
use vsr_core::header::HEADER_SIZE;
use vsr_core::io::{Halt, Zone};

/// The registration comes before them, so the last one is operation 22: six behind a checkpoint, and the log has not been used again.
const OPERATIONS: u8 = 21;

/// The head of the log.
const HEAD: usize = OPERATIONS as usize + 1;

/// Long enough for any number of view changes.
const STEPS: u32 = 30_000;

fn configuration(replica_count: u8) -> Configuration {
    let mut configuration = Configuration::of(replica_count);
    configuration.pipeline_max = 4;
    configuration.slots = 32;
    configuration.checkpoint_interval = 8;
    configuration.snapshot_size_max = 1 << 16;
    configuration
}

/// The first `count` operations, one after the other.
fn diary(count: u8) -> Vec<u8> {
    (1..=count).flat_map(|number| vec![number; usize::from(number)]).collect()
}

/// The disks after all replicas have executed everything and have been stopped.
fn stopped(replica_count: u8) -> Vec<Disk> {
    let mut group = Group::new(configuration(replica_count));
    (0..replica_count).for_each(|replica| group.start(replica));
    for number in 1..=OPERATIONS {
        assert!(group.submit(&vec![number; usize::from(number)]));
    }
    assert!(group.run_until(STEPS, |group| all_hold(group, OPERATIONS)));
    group.disks
}

fn is_back(replica: &Replica<Diary>, count: u8) -> bool {
    replica.state_machine().0 == diary(count)
}

/// Whether every replica that was started has executed the first `count` operations, and no more.
fn all_hold(group: &Group, count: u8) -> bool {
    group.replicas.iter().flatten().all(|replica| is_back(replica, count))
}

/// Fills a part of a zone with a byte: 0 is what was never written.
fn fill(disk: &mut Disk, zone: Zone, range: std::ops::Range<usize>, byte: u8) {
    let zone = disk.zones.get_mut(&zone).expect("it was written");
    zone.resize(zone.len().max(range.end), 0);
    zone[range].fill(byte);
}

/// Of the entry at `op` the prepare, or the redundant header.
fn slot(zone: Zone, op: usize) -> std::ops::Range<usize> {
    let size = match zone {
        Zone::Headers => HEADER_SIZE,
        Zone::Prepares | Zone::Superblock | Zone::Snapshots => {
            usize::try_from(configuration(3).prepare_slot_size()).expect("a few sectors")
        }
    };
    op * size..(op + 1) * size
}

fn rot(disk: &mut Disk, zone: Zone, op: usize) {
    fill(disk, zone, slot(zone, op), 0xaa);
}

/// As if the entry had never come.
fn forget(disk: &mut Disk, op: usize) {
    for zone in [Zone::Prepares, Zone::Headers] {
        fill(disk, zone, slot(zone, op), 0);
    }
}

/// Whether anybody leads a view.
fn leads(group: &Group) -> bool {
    group.replicas.iter().flatten().any(Replica::is_primary)
}

fn start(disks: Vec<Disk>, replicas: &[u8]) -> Group {
    let mut group = Group::over(configuration(u8::try_from(disks.len()).expect("a few")), disks);
    replicas.iter().for_each(|replica| group.start(*replica));
    group
}

#[test]
fn entries_that_rot_on_one_disk_or_another_come_back_from_those_that_have_them() {
    let mut disks = stopped(3);
    for op in 17..=HEAD {
        rot(&mut disks[op % 3], Zone::Prepares, op);
        rot(&mut disks[(op + 1) % 3], Zone::Headers, op);
    }
    let mut group = start(disks, &[0, 1, 2]);
    assert!(group.run_until(STEPS, |group| all_hold(group, OPERATIONS)));
    assert!(group.run_until(STEPS, leads));
    // And they are on the disks again.
    for (op, disk) in (17..=HEAD).flat_map(|op| group.disks.iter().map(move |disk| (op, disk))) {
        for zone in [Zone::Prepares, Zone::Headers] {
            assert_ne!(disk.zones[&zone][slot(zone, op).start], 0xaa, "{zone:?} {op}");
        }
    }
    // What came back in memory only would be gone with the next start.
}

/// r0 has lost the bytes of the last operation, r1 never had it: r2, which has it, is away.
#[test]
fn an_acknowledged_entry_that_nobody_present_has_whole_is_waited_for() {
    let mut disks = stopped(3);
    rot(&mut disks[0], Zone::Prepares, HEAD);
    forget(&mut disks[1], HEAD);
    let mut group = start(disks, &[0, 1]);
    assert!(!group.run_until(STEPS, leads), "one denial is not enough to go on without it");
    group.start(2);
    assert!(group.run_until(STEPS, |group| all_hold(group, OPERATIONS)));
    // A replica that took what is damaged for what was torn would have cut it off, and told a client so.
}

#[test]
fn an_entry_that_two_of_three_deny_was_never_committed_and_is_cut_off() {
    let mut disks = stopped(3);
    rot(&mut disks[0], Zone::Prepares, HEAD);
    forget(&mut disks[1], HEAD);
    forget(&mut disks[2], HEAD);
    let mut group = start(disks, &[0, 1, 2]);
    assert!(group.run_until(STEPS, |group| {
        all_hold(group, OPERATIONS - 1) && group.replicas.iter().flatten().any(Replica::is_primary)
    }));
    // Waiting for what is nowhere, the cluster would stand still for ever.
}

/// Both rings are damaged at the last operation of r0, so it cannot tell whether it acknowledged that one. It did.
#[test]
fn a_replica_that_cannot_tell_where_its_log_ended_denies_nothing_and_is_told() {
    let mut disks = stopped(3);
    rot(&mut disks[0], Zone::Prepares, HEAD);
    rot(&mut disks[0], Zone::Headers, HEAD);
    forget(&mut disks[1], HEAD);
    let mut group = start(disks, &[0, 1]);
    assert!(!group.run_until(STEPS, leads), "its silence is no denial");
    group.start(2);
    assert!(group.run_until(STEPS, |group| all_hold(group, OPERATIONS)));
    assert!(group.run_until(STEPS, leads));
}

/// As above; but the lights go out again when both have promised another view. The rings behind the log are not looked at then: how far
/// it may have reached is what the promise says.
#[test]
fn a_replica_that_could_not_tell_where_its_log_ended_denies_nothing_after_another_start_either() {
    let mut disks = stopped(3);
    rot(&mut disks[0], Zone::Prepares, HEAD);
    rot(&mut disks[0], Zone::Headers, HEAD);
    forget(&mut disks[1], HEAD);
    let mut group = start(disks, &[0, 1]);
    assert!(!group.run_until(STEPS, leads));
    let mut group = start(group.disks, &[0, 1]);
    assert!(!group.run_until(STEPS, leads), "its silence is no denial");
    group.start(2);
    assert!(group.run_until(STEPS, |group| all_hold(group, OPERATIONS)));
    assert!(group.run_until(STEPS, leads));
    // A doubt that lasts for one start is a denial at the next.
}

#[test]
fn a_spoiled_checkpoint_is_fetched_and_the_log_is_kept() {
    for is_unreadable in [false, true] {
        let mut disks = stopped(3);
        let zone = Zone::Snapshots;
        if is_unreadable {
            let sectors = disks[0].zones[&zone].len().div_ceil(SECTOR);
            disks[0].unreadable.extend((0..sectors).map(|sector| (zone, sector)));
        } else {
            let size = disks[0].zones[&zone].len();
            fill(&mut disks[0], zone, 0..size, 0xaa);
        }
        // The last operation is nowhere else.
        forget(&mut disks[1], HEAD);
        let mut group = start(disks, &[0, 1]);
        assert!(group.run_until(STEPS, |group| all_hold(group, OPERATIONS)));
    }
}

#[test]
fn what_cannot_be_read_is_as_good_as_damaged_and_no_reason_to_stop() {
    let mut disks = stopped(3);
    let all = |disk: &Disk, zone: Zone| disk.zones[&zone].len().div_ceil(SECTOR);
    for copy in 0..3 {
        disks[0].unreadable.push((Zone::Superblock, copy));
    }
    let sectors = all(&disks[0], Zone::Headers);
    disks[0].unreadable.extend((0..sectors).map(|sector| (Zone::Headers, sector)));
    let sectors = all(&disks[1], Zone::Prepares);
    disks[1].unreadable.extend((2 * 17..sectors).map(|sector| (Zone::Prepares, sector)));
    let mut group = start(disks, &[0, 1, 2]);
    assert!(group.run_until(STEPS, |group| all_hold(group, OPERATIONS)));
}

#[test]
fn a_replica_whose_disk_was_wiped_says_so_and_does_not_vote() {
    let mut disks = stopped(3);
    disks[0] = Disk::default();
    let mut group = start(disks, &[0, 1]);
    assert!(!group.run_until(STEPS, leads), "with its vote there would be a quorum");
    let halted = group.replicas[0].as_ref().and_then(Replica::halted);
    assert_eq!(halted, Some(Halt::DiskLost));
    group.start(2);
    assert!(group.run_until(STEPS, |group| {
        group.replicas[1..].iter().flatten().all(|replica| is_back(replica, OPERATIONS))
    }));
    assert!(group.run_until(STEPS, leads));
    // It does not know what it acknowledged: with an empty log it would deny all of it.
}

#[test]
fn a_replica_that_cannot_read_its_superblock_says_that_its_disk_has_failed() {
    let mut disks = stopped(3);
    disks[0].unreadable.extend((0..4).map(|copy| (Zone::Superblock, copy)));
    let mut group = start(disks, &[0, 1]);
    assert!(!group.run_until(STEPS, leads), "with its vote there would be a quorum");
    let halted = group.replicas[0].as_ref().and_then(Replica::halted);
    assert_eq!(halted, Some(Halt::DiskFailed));
    // Taken for a disk that is lost it would be thrown away, with all that it holds.
}

#[test]
fn who_is_alone_and_has_lost_something_halts_instead_of_forgetting_it() {
    for (zones, halt) in [
        (&[(Zone::Prepares, HEAD)][..], Halt::LogDamaged),
        (&[(Zone::Prepares, HEAD), (Zone::Headers, HEAD)], Halt::LogDamaged),
        (&[(Zone::Prepares, 18)], Halt::LogDamaged),
        (&[(Zone::Snapshots, 0)], Halt::CheckpointDamaged),
    ] {
        let mut disks = stopped(1);
        for (zone, op) in zones {
            if *zone == Zone::Snapshots {
                let size = disks[0].zones[zone].len();
                fill(&mut disks[0], *zone, 0..size, 0xaa);
            } else {
                rot(&mut disks[0], *zone, *op);
            }
        }
        let mut group = start(disks, &[0]);
        assert!(group.run_until(STEPS, |group| {
            group.replicas[0].as_ref().is_some_and(|only| only.halted() == Some(halt))
        }));
    }
}
