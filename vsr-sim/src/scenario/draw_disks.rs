//! Draws what disks do badly in a run, by its profile.

use super::action::Action;
use super::draw::Profile;
use super::{Clocks, Scenario};
use crate::cluster::budget::Budget;
use crate::engine::disk::DiskRates;
use crate::engine::network::LinkRates;
use crate::engine::random::{Seed, Stream};
use crate::engine::time::Span;
use crate::faults::{Cue, DiskShape, MomentName, Plan, draw_disk_plan, draw_rates};

/// Whom faults of disks strike, by how often.
const SERVERS: [(u32, &str); 4] = [(4, "replica"), (3, "primary"), (2, "backup"), (2, "busy")];

/// How large the run is that trouble is drawn for, before flags change it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) requests: u32,
    pub(super) replicas: u8,
}

/// Makes the drawn `scenario` one of this profile.
pub(super) fn apply(scenario: &mut Scenario, profile: Profile, size: Size) {
    let seed = scenario.seed;
    match profile {
        Profile::Swarm => {
            // What disks do at their worst follows once replicas are known to bear it.
            if seed.stream("disk trouble").chance(HONEST_PPM) {
                trouble(scenario, Budget::Nothing, size);
            }
        }
        Profile::Calm => calm(scenario),
        Profile::HarshDisk => {
            let budget = draw_budget(&mut seed.stream("disk budget"));
            trouble(scenario, budget, size);
        }
        Profile::HarshDiskBeyond => trouble(scenario, Budget::Beyond, size),
    }
}

/// Nothing goes wrong; links and disks take their time as before.
fn calm(scenario: &mut Scenario) {
    scenario.steps.clear();
    scenario.network = LinkRates { loss_ppm: 0, duplicate_ppm: 0, tail_ppm: 0, ..scenario.network };
    scenario.disk = DiskRates { tail_ppm: 0, ..scenario.disk };
    scenario.clock = Clocks::default();
}

fn draw_budget(stream: &mut Stream) -> Budget {
    *stream.pick_weighted(&[(4, Budget::Minority), (5, Budget::Scattered), (1, Budget::Wiped)])
}

/// In one run of this many in a million disks fail, and forget all that a crash lets them forget.
const HONEST_PPM: u32 = 250_000;

/// In one run of this many in a million nothing but disks is bad.
const ALONE_PPM: u32 = 300_000;

/// In one run of this many in a million most operations take several sectors.
const LARGE_PPM: u32 = 250_000;

fn trouble(scenario: &mut Scenario, budget: Budget, size: Size) {
    let seed = scenario.seed;
    let timeout = scenario.cluster.timeouts.suspect_primary;
    if budget != Budget::Nothing && seed.stream("disks alone").chance(ALONE_PPM) {
        scenario.steps.clear();
    }
    enlarge(scenario);
    scenario.budget = budget;
    let is_honest = budget == Budget::Nothing;
    scenario.disk = draw_rates(seed, scenario.disk, timeout, is_honest);
    let more = plan(seed, timeout, size, is_honest).steps;
    scenario.steps.extend(more.into_iter().map(|step| step.map(Action::Fault)));
}

/// Only a write of several sectors can be torn: in some runs most operations are that large.
fn enlarge(scenario: &mut Scenario) {
    let stream = &mut scenario.seed.stream("disk sizes");
    let Some(workload) = &mut scenario.workload else { return };
    if stream.chance(LARGE_PPM) {
        let ppm = u32::try_from(stream.within(400_000, 900_000)).expect("parts of a million");
        workload.large_ppm = workload.large_ppm.max(ppm);
    }
}

fn plan(seed: Seed, timeout: Span, size: Size, is_honest: bool) -> Plan {
    let entries = size.requests * u32::from(size.replicas);
    let cue = |weight, moment, kind, times| Cue { weight, moment, kind, times };
    let acknowledgements = [
        cue(6, MomentName::Sent, "PrepareOk", entries),
        cue(3, MomentName::Sent, "Reply", size.requests),
        cue(3, MomentName::Event, "Durable", entries),
        cue(2, MomentName::Sent, "DoViewChange", 6),
        cue(3, MomentName::Event, "Truncated", 2),
    ];
    let shape = DiskShape {
        servers: &SERVERS,
        all_servers: "replicas",
        timeout,
        acknowledgements: &acknowledgements,
        zones: &[
            (2, ("Superblock", 24)),
            (4, ("Headers", entries)),
            (6, ("Prepares", entries)),
            (2, ("Snapshots", 12)),
        ],
    };
    draw_disk_plan(seed, &shape, is_honest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Node;
    use crate::cluster::selector::Words;
    use crate::scenario::draw::Overrides;

    fn draw(number: u64, profile: Profile) -> Scenario {
        Scenario::draw(Seed::new(number), &Overrides { profile, ..Overrides::default() })
    }

    #[test]
    fn a_harsh_disk_is_the_same_run_with_worse_disks() {
        let mut alone = 0;
        let mut compared = 0;
        for number in 0..400 {
            let swarm = draw(number, Profile::Swarm);
            let mut harsh = draw(number, Profile::HarshDisk);
            let faults = harsh.steps.iter().filter_map(|step| step.action.fault());
            assert!(faults.clone().all(|fault| fault.check::<Node>(&Words::is_word).is_ok()));
            assert!(faults.count() > 0 && harsh.budget.is_within() && !harsh.budget.is_by_hand());
            if !swarm.budget.is_by_hand() {
                continue;
            }
            compared += 1;
            alone += u32::from(!harsh.steps.starts_with(&swarm.steps));
            harsh.steps.clone_from(&swarm.steps);
            (harsh.budget, harsh.disk) = (swarm.budget, swarm.disk);
            harsh.workload = swarm.workload;
            assert_eq!(harsh, swarm);
        }
        assert!((200..360).contains(&compared) && alone > 30, "{compared} {alone}");
    }

    /// Where nothing may be spoiled, nothing is even tried.
    #[test]
    fn an_honest_run_has_no_lies() {
        let mut honest = 0;
        for number in 0..400 {
            let swarm = draw(number, Profile::Swarm);
            if swarm.budget != Budget::Nothing {
                continue;
            }
            honest += 1;
            let DiskRates { rot_ppm, lost_ppm, misdirected_ppm, misread_ppm, .. } = swarm.disk;
            assert_eq!([rot_ppm, lost_ppm, misdirected_ppm, misread_ppm], [0; 4]);
            let mut faults = swarm.steps.iter().filter_map(|step| step.action.fault());
            assert!(faults.all(|fault| !fault.lies()));
        }
        assert!(honest > 50, "{honest}");
    }

    #[test]
    fn in_a_calm_run_nothing_goes_wrong() {
        for number in 0..50 {
            let calm = draw(number, Profile::Calm);
            assert!(calm.steps.is_empty() && calm.network.loss_ppm == 0);
            assert!(calm.budget.is_by_hand() && calm.disk.error_ppm == 0);
        }
    }
}
