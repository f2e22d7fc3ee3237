#![no_main]
//! A whole disk, read back after anything may have become of its bytes: no panic, and nothing executed that nobody asked for.
//!
//! Three replicas execute some forty operations, with checkpoints in between so that the log was written over, and stop all at once.
//! The input says what becomes of the disk of the first; then it and the second start, while the third stays away. Every
//! committed operation is whole on the second disk: so as long as the first replica does not halt, both must come to hold all
//! of them, and no others. But where the first cannot tell what it may have acknowledged, they have to wait for the third.

#[path = "common/group.rs"]
mod group;

use std::sync::OnceLock;

use group::{Diary, Disk, Group, SECTOR};
use libfuzzer_sys::fuzz_target;
use vsr_core::Replica;
use vsr_core::configuration::Configuration;
use vsr_core::io::Zone;

const OPERATIONS: u8 = 41;

const ZONES: [Zone; 4] = [Zone::Superblock, Zone::Headers, Zone::Prepares, Zone::Snapshots];

fn configuration() -> Configuration {
    let mut configuration = Configuration::of(3);
    configuration.pipeline_max = 4;
    configuration.slots = 32;
    configuration.checkpoint_interval = 8;
    configuration.snapshot_size_max = 1 << 16;
    configuration
}

fn operation(number: u8) -> Vec<u8> {
    vec![number; usize::from(number) * 40]
}

/// The disks as they were when all replicas stopped, and what had been executed.
fn image() -> &'static (Vec<Disk>, Vec<u8>) {
    static IMAGE: OnceLock<(Vec<Disk>, Vec<u8>)> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let mut group = Group::new(configuration());
        (0..3).for_each(|replica| group.start(replica));
        for number in 1..=OPERATIONS {
            assert!(group.submit(&operation(number)));
        }
        let all: Vec<u8> = (1..=OPERATIONS).flat_map(operation).collect();
        assert!(group.run_until(20_000, |group| {
            group.replicas.iter().flatten().all(|replica| replica.state_machine().0 == all)
        }));
        (group.disks, all)
    })
}

/// Does to a disk what the input says, seven bytes at a time.
fn damage(disk: &mut Disk, input: &[u8]) {
    for words in input.chunks_exact(7).take(64) {
        let zone = ZONES[usize::from(words[1]) % ZONES.len()];
        let bytes = disk.zones.get_mut(&zone).expect("every zone was written");
        let place =
            |high: u8, low: u8, most: usize| (usize::from(high) << 8 | usize::from(low)) % most;
        let sectors = bytes.len().div_ceil(SECTOR);
        let sector = place(words[2], words[3], sectors);
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(bytes.len());
        match words[0] % 6 {
            0 => bytes[start + place(words[4], words[5], end - start)] ^= words[6].max(1),
            1 => bytes[start..end].fill(0),
            2 => bytes[start..end].fill(words[6]),
            3 => {
                // One sector holds what is meant for another.
                let other = place(words[4], words[5], sectors) * SECTOR;
                let size = (end - start).min(bytes.len() - other);
                bytes.copy_within(other..other + size, start);
            }
            4 => {
                let header = start + place(words[4], words[5], (end - start).div_ceil(256)) * 256;
                let other =
                    (start + usize::from(words[6]) * 256).min(bytes.len().saturating_sub(256));
                let size = 256.min(bytes.len() - header.max(other));
                bytes.copy_within(other..other + size, header);
            }
            _ => disk.unreadable.push((zone, sector)),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let (disks, all) = image();
    let mut disks = disks.clone();
    damage(&mut disks[0], input);
    let mut group = Group::over(configuration(), disks);
    group.start(0);
    group.start(1);
    let holds_all = |replica: &Replica<Diary>| replica.state_machine().0 == *all;
    let halted =
        |group: &Group| group.replicas[0].as_ref().is_some_and(|first| first.halted().is_some());
    let is_over = |group: &Group| halted(group) || group.replicas.iter().flatten().all(holds_all);
    let mut came_back = group.run_until(30_000, is_over);
    if !came_back {
        group.start(2);
        came_back = group.run_until(30_000, is_over);
    }
    assert!(
        came_back,
        "neither halted nor back: {:?}",
        group.replicas[0].as_ref().map(Replica::status)
    );
    for replica in group.replicas.iter().flatten() {
        assert!(all.starts_with(&replica.state_machine().0), "executed what nobody asked for");
    }
});
