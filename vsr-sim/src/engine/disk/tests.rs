//! Stories of one disk that keeps, loses, tears, spoils and lies.

use super::*;
use crate::engine::node::Incarnation;
use crate::engine::process::{DiskError, Token};

const NODE: NodeIndex = NodeIndex::new(0);
const ZONE: Zone = Zone(1);

fn disk(seed: u64, rates: DiskRates) -> Disk {
    let mut disk = Disk::new();
    disk.reset(Seed::new(seed), (2, 2), rates, drop);
    disk
}

fn write(offset: u64, bytes: Vec<u8>) -> Write {
    Write::new((NODE, Incarnation::FIRST), Time::ZERO, Token(0), (ZONE, offset), bytes)
}

fn contents(disk: &Disk, offset: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![7; size];
    disk.read(NODE, ZONE, offset, &mut bytes);
    bytes
}

#[test]
fn a_write_is_seen_whole_once_it_completes_and_not_before() {
    let mut disk = disk(1, DiskRates::default());
    let (slot, _) = disk.start_write(write(4_000, vec![1; 5_000]));
    assert!(contents(&disk, 0, 10_000).iter().all(|byte| *byte == 0));
    assert_eq!(disk.finish_write(Time::ZERO, slot), Finish::Durable);
    assert_eq!(disk.writes.take(slot).state(), WriteState::Done(Ok(())));
    let seen = contents(&disk, 0, 10_000);
    assert!((0..10_000).all(|place| seen[place] == u8::from((4_000..9_000).contains(&place))));
    assert_eq!(disk.writes_under_way(NODE).len(), 0);
    disk.reset(Seed::new(2), (2, 2), DiskRates::default(), drop);
    assert!(contents(&disk, 0, 10_000).iter().all(|byte| *byte == 0), "pages come back clean");
}

/// Eight sectors are over-written and the node crashes: each sector is wholly old or wholly new, and over many seeds
/// all three things happen to the write.
#[test]
fn a_crash_tears_writes_between_sectors_and_never_within() {
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    for seed in 0..300 {
        let mut disk = disk(seed, DiskRates::default());
        disk.overwrite(NODE, ZONE, 0, &[1; 8 * SECTOR_SIZE]);
        let (slot, _) = disk.start_write(write(100, vec![2; 8 * SECTOR_SIZE - 200]));
        let (resolved, resolution) = disk.resolve_next(Time::ZERO, NODE).unwrap();
        assert_eq!(resolved, slot);
        assert_eq!(disk.resolve_next(Time::ZERO, NODE), None);
        let seen = contents(&disk, 100, 8 * SECTOR_SIZE - 200);
        let whole: Vec<u8> = sectors(100, seen.len())
            .map(|part| {
                assert!(seen[part.clone()].iter().all(|byte| *byte == seen[part.start]));
                seen[part.start]
            })
            .collect();
        let new = whole.iter().filter(|byte| **byte == 2).count();
        match resolution {
            Resolution::Kept => kept += u32::from(new == 8),
            Resolution::Lost => lost += u32::from(new == 0),
            Resolution::Torn { new: told, old } => {
                torn += 1;
                assert_eq!((told as usize, old as usize), (new, 8 - new));
            }
            Resolution::Late => panic!("no disk of these rates is late"),
        }
        assert_eq!(contents(&disk, 0, 100), vec![1; 100], "bytes that were not written stay");
        assert_eq!(disk.finish_write(Time::ZERO, slot), Finish::Over, "it never completes");
    }
    assert!([kept, lost, torn].iter().all(|count| *count > 60), "{kept} {lost} {torn}");
    assert_eq!(kept + lost + torn, 300);
}

/// What a write suffers is its own: other writes, before it or beside it, do not matter.
#[test]
fn the_fate_of_a_write_is_that_of_its_place() {
    let mut alone = disk(3, DiskRates::default());
    let mut crowded = disk(3, DiskRates::default());
    for offset in 0..50 {
        crowded.start_write(write(100_000 + offset * 8, vec![1; 8]));
    }
    let one = alone.start_write(write(64, vec![1; 8])).1;
    assert_eq!(crowded.start_write(write(64, vec![1; 8])).1, one);
    assert_ne!(alone.start_write(write(64, vec![1; 8])).1, one, "the second to a place is another");
}

#[test]
fn a_slow_disk_is_slow() {
    let mut disk = disk(4, DiskRates::default());
    let quick = disk.start_write(write(0, vec![9; 8]));
    disk.set_slowness(NODE, None, 10_000);
    assert!(disk.start_write(write(8, vec![9; 8])).1 > quick.1.times(20));
}

#[test]
fn a_disk_may_be_slow_in_one_part_alone() {
    let mut disk = disk(4, DiskRates::default());
    let quick = disk.start_write(write(0, vec![9; 8]));
    disk.set_slowness(NODE, Some(Zone(0)), 10_000);
    assert_eq!((disk.slowness(NODE, Zone(0)), disk.slowness(NODE, ZONE)), (10_000, 100));
    assert!(disk.start_write(write(8, vec![9; 8])).1 < quick.1.times(20));
    disk.set_slowness(NODE, Some(ZONE), 10_000);
    assert!(disk.start_write(write(16, vec![9; 8])).1 > quick.1.times(20));
}

fn read(disk: &mut Disk, offset: u64, size: u32) -> Result<Vec<u8>, DiskError> {
    let read = Read::new((NODE, Incarnation::FIRST), Token(0), (ZONE, offset, size));
    let (slot, _) = disk.start_read(read);
    let read = disk.reads.take(slot);
    let mut buffer = ReadBuffer::default();
    disk.finish_read(&read, &mut buffer).map(|()| buffer.bytes().to_vec())
}

fn mishaps(disk: &mut Disk) -> Vec<(MishapKind, u64)> {
    std::iter::from_fn(|| disk.take_mishap()).map(|mishap| (mishap.kind, mishap.offset)).collect()
}

/// Carries one write out from beginning to end.
fn write_out(disk: &mut Disk, offset: u64, bytes: Vec<u8>) -> Finish {
    let (slot, _) = disk.start_write(write(offset, bytes));
    disk.finish_write(Time::ZERO, slot)
}

const SECTOR: u64 = SECTOR_SIZE as u64;

/// Eight sectors, the n-th one full of n + 1.
fn eight_sectors(rates: DiskRates) -> Disk {
    let mut disk = disk(5, rates);
    for sector in 0..8 {
        disk.overwrite(
            NODE,
            ZONE,
            sector * SECTOR,
            &[u8::try_from(sector).unwrap() + 1; SECTOR_SIZE],
        );
    }
    disk
}

#[test]
fn a_write_that_fails_leaves_each_sector_old_or_new_and_a_full_disk_leaves_all_old() {
    let rates = DiskRates { error_ppm: MILLION, ..DiskRates::default() };
    let mut seen = [0; 3];
    for offset in 0..40 {
        let mut disk = eight_sectors(rates);
        let Finish::Failed(resolution) = write_out(&mut disk, offset, vec![9; 3 * SECTOR_SIZE])
        else {
            panic!("every write fails");
        };
        let new = contents(&disk, 0, 4 * SECTOR_SIZE)
            .chunks(SECTOR_SIZE)
            .filter(|chunk| chunk.contains(&9))
            .count();
        match resolution {
            Resolution::Kept => seen[0] += 1,
            Resolution::Lost => seen[1] += u32::from(new == 0),
            Resolution::Torn { new: told, .. } => seen[2] += u32::from(told as usize == new),
            Resolution::Late => panic!("nobody crashed"),
        }
        assert_eq!(mishaps(&mut disk), [(MishapKind::WriteFailed, offset)]);
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    assert_eq!(seen.iter().sum::<u32>(), 40);

    let mut disk = eight_sectors(DiskRates::default());
    disk.set_failing(NODE, Failing { writes: Some(Doom::Full), ..Failing::default() });
    let (slot, _) = disk.start_write(write(0, vec![9; 3 * SECTOR_SIZE]));
    assert_eq!(disk.finish_write(Time::ZERO, slot), Finish::Failed(Resolution::Lost));
    assert_eq!(disk.writes.get(slot).state(), WriteState::Done(Err(DiskError::Full)));
    assert_eq!(contents(&disk, 0, 1), [1]);
    // A process that were told "failed" of a full disk could not say why it stopped.
}

/// Rot hides what is there; what is written over it is as it should be, and so is the sector once all of it is.
#[test]
fn what_rots_is_hidden_until_it_is_written_again() {
    let mut disk = eight_sectors(DiskRates::default());
    let fate = Fate::of(1, 0);
    let whole = Spot::At { offset: 3 * SECTOR, size: SECTOR };
    assert!(disk.spoil((NODE, ZONE), whole, Rot::Sector, fate));
    assert!(disk.spoil((NODE, ZONE), Spot::At { offset: 5 * SECTOR + 8, size: 1 }, Rot::Bit, fate));
    let seen = contents(&disk, 0, 8 * SECTOR_SIZE);
    let bad: Vec<usize> = (0..8)
        .filter(|sector| {
            let expected = u8::try_from(*sector).unwrap() + 1;
            seen[sector * SECTOR_SIZE..][..SECTOR_SIZE].iter().any(|byte| *byte != expected)
        })
        .collect();
    assert_eq!(bad, [3, 5]);
    let flipped: Vec<usize> =
        (5 * SECTOR_SIZE..6 * SECTOR_SIZE).filter(|place| seen[*place] != 6).collect();
    assert_eq!(flipped, [5 * SECTOR_SIZE + 8], "one byte, the one that was meant");
    let mut pristine = vec![0; 8 * SECTOR_SIZE];
    disk.read_pristine(NODE, ZONE, 0, &mut pristine);
    assert_eq!(pristine[3 * SECTOR_SIZE], 4);

    write_out(&mut disk, 3 * SECTOR, vec![8; 100]);
    let seen = contents(&disk, 3 * SECTOR, SECTOR_SIZE);
    assert!(seen[..100].iter().all(|byte| *byte == 8) && seen[100..].iter().any(|byte| *byte != 4));
    assert!(disk.is_spoiled(NODE, ZONE, 3 * SECTOR, 1));
    write_out(&mut disk, 3 * SECTOR, vec![8; SECTOR_SIZE]);
    assert!(!disk.is_spoiled(NODE, ZONE, 3 * SECTOR, 1));
    assert_eq!(contents(&disk, 3 * SECTOR, SECTOR_SIZE), vec![8; SECTOR_SIZE]);
    // An overlay that outlived a write would spoil what a replica has repaired.
}

#[test]
fn a_sector_that_cannot_be_read_fails_every_read_that_touches_it_until_it_is_written() {
    let mut disk = eight_sectors(DiskRates::default());
    let spot = Spot::At { offset: 2 * SECTOR, size: 1 };
    assert!(disk.spoil((NODE, ZONE), spot, Rot::Unreadable, Fate::of(1, 0)));
    assert_eq!(read(&mut disk, 0, 8192), Ok([vec![1; 4096], vec![2; 4096]].concat()));
    assert_eq!(read(&mut disk, SECTOR, 4097), Err(DiskError::Failed));
    assert_eq!(
        mishaps(&mut disk),
        [(MishapKind::Unreadable, 2 * SECTOR), (MishapKind::ReadFailed, SECTOR)]
    );
    write_out(&mut disk, 2 * SECTOR, vec![9; 8]);
    let seen = read(&mut disk, 2 * SECTOR, 4096).unwrap();
    assert_eq!(seen[..8], [9; 8]);
    assert_ne!(
        seen[8..16],
        [3; 8],
        "the rest of the sector is gone, and does not look like zeros either"
    );
    assert_ne!(seen[8..16], [0; 8]);
}

#[test]
fn a_lost_write_leaves_the_old_bytes_and_says_that_all_is_well() {
    let rates = DiskRates { lost_ppm: MILLION, ..DiskRates::default() };
    let mut disk = eight_sectors(rates);
    assert_eq!(write_out(&mut disk, SECTOR + 10, vec![9; 4096]), Finish::Durable);
    assert_eq!(contents(&disk, SECTOR, 8192), [vec![2; 4096], vec![3; 4096]].concat());
    assert_eq!(mishaps(&mut disk), [(MishapKind::WriteLost, SECTOR + 10)]);
    // The same bytes again, and this time they arrive: the disk is as it should be.
    disk.set_honest(NODE);
    assert_eq!(write_out(&mut disk, SECTOR + 10, vec![9; 4096]), Finish::Durable);
    assert!(!disk.is_spoiled(NODE, ZONE, 0, 8 * SECTOR_SIZE));
    assert_eq!(contents(&disk, SECTOR + 10, 4096), vec![9; 4096]);
}

#[test]
fn a_misdirected_write_spoils_two_places_and_both_may_be_spoiled() {
    for offset in 0..40 {
        let rates = DiskRates { misdirected_ppm: MILLION, ..DiskRates::default() };
        let mut disk = eight_sectors(rates);
        disk.limit();
        disk.permit(NODE, ZONE, Mischief::Lie, 0..2 * SECTOR);
        disk.permit(NODE, ZONE, Mischief::Rot, 4 * SECTOR..7 * SECTOR);
        assert_eq!(write_out(&mut disk, offset, vec![9; 300]), Finish::Durable);
        let seen = contents(&disk, 0, 8 * SECTOR_SIZE);
        let there: Vec<usize> = seen
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == 9)
            .map(|(place, _)| place)
            .collect();
        let first = there[0] as u64;
        assert_eq!(there.len(), 300);
        assert!((4 * SECTOR..7 * SECTOR).contains(&first) && first % SECTOR == offset);
        assert_eq!(
            mishaps(&mut disk),
            [(MishapKind::WriteMisdirected, offset), (MishapKind::Overwritten, first)]
        );
        // What may not be lied about is written as it should be.
        assert_eq!(write_out(&mut disk, 2 * SECTOR, vec![9; 300]), Finish::Durable);
        assert_eq!(contents(&disk, 2 * SECTOR, 300), vec![9; 300]);
        assert_eq!(mishaps(&mut disk), []);
    }
}

#[test]
fn a_read_may_bring_a_sector_of_another_place_once() {
    let mut disk = eight_sectors(DiskRates::default());
    disk.set_failing(NODE, Failing { misreads: true, ..Failing::default() });
    let mut strange = 0;
    for _ in 0..40 {
        let seen = read(&mut disk, 0, 2 * 4096).unwrap();
        let wrong = usize::from(seen[..4096] != [1; 4096]) + usize::from(seen[4096..] != [2; 4096]);
        assert!(wrong <= 1);
        strange += wrong;
    }
    assert!(strange > 20, "{strange}");
    disk.set_failing(NODE, Failing::default());
    assert_eq!(read(&mut disk, 0, 4096), Ok(vec![1; 4096]), "the disk itself is whole");
}

/// A crash loses a write, and the disk carries it out when the next process has already written one of its two sectors.
#[test]
fn a_late_write_never_comes_over_a_newer_one() {
    let rates = DiskRates {
        crash_kept_ppm: 0,
        crash_lost_ppm: MILLION,
        crash_late_ppm: MILLION,
        crash_late: Span::from_ms(5),
        ..DiskRates::default()
    };
    let mut disk = eight_sectors(rates);
    let (slot, _) = disk.start_write(write(SECTOR, vec![8; 2 * SECTOR_SIZE]));
    assert_eq!(disk.resolve_next(Time::ZERO, NODE), Some((slot, Resolution::Late)));
    let Finish::NotYet(time) = disk.finish_write(Time::ZERO, slot) else {
        panic!("it is too early");
    };
    assert!(time <= Time::ZERO.plus(Span::from_ms(5)));
    assert_eq!(contents(&disk, SECTOR, 1), [2], "it is not there yet");
    write_out(&mut disk, SECTOR + 7, vec![9; 1]);
    assert_eq!(disk.finish_write(time, slot), Finish::Landed);
    assert_eq!(mishaps(&mut disk), [(MishapKind::WriteLate, SECTOR)]);
    assert_eq!(contents(&disk, SECTOR, 9), [2, 2, 2, 2, 2, 2, 2, 9, 2]);
    assert_eq!(contents(&disk, 2 * SECTOR, SECTOR_SIZE), vec![8; SECTOR_SIZE]);
    assert_eq!(disk.finish_write(time, slot), Finish::Over);
}

#[test]
fn only_what_is_permitted_is_spoiled_and_the_last_written_is_the_last_that_may_be() {
    let mut disk = eight_sectors(DiskRates::default());
    let fate = Fate::of(1, 0);
    disk.limit();
    for spot in [Spot::Anywhere, Spot::LastWritten, Spot::At { offset: 0, size: 1 }] {
        assert!(!disk.spoil((NODE, ZONE), spot, Rot::Sector, fate), "{spot:?}");
    }
    disk.permit(NODE, ZONE, Mischief::Rot, 2 * SECTOR..4 * SECTOR);
    for sector in [1, 2, 3, 6] {
        write_out(&mut disk, sector * SECTOR, vec![9; 16]);
    }
    assert!(disk.spoil((NODE, ZONE), Spot::LastWritten, Rot::Bit, fate));
    assert_eq!(mishaps(&mut disk), [(MishapKind::Flipped, 3 * SECTOR)]);
    assert_ne!(contents(&disk, 3 * SECTOR, 16), [9; 16], "a bit of what was written");
    for name in 0..20 {
        assert!(disk.spoil((NODE, ZONE), Spot::Anywhere, Rot::Sector, Fate::of(name, 0)));
        assert!([2 * SECTOR, 3 * SECTOR].contains(&mishaps(&mut disk)[0].1));
    }
    assert!(!disk.doom_newest(NODE, ZONE, Doom::Lost), "nothing is being written");
    disk.start_write(write(3 * SECTOR, vec![1; 16]));
    assert!(!disk.doom_newest(NODE, ZONE, Doom::Lost), "it may rot, but must not lie");
    assert!(!disk.wipe(NODE));
    disk.permit_wiping(NODE);
    assert!(disk.wipe(NODE));
    assert_eq!(contents(&disk, 0, 8 * SECTOR_SIZE), vec![0; 8 * SECTOR_SIZE]);
    // Without the budget there would be seeds whose cluster has lost more than any protocol can bring back.
}
