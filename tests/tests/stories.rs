//! The stories of `scenarios/`: each is run, must end as it says, and its trace is kept beside it.
//!
//! A trace that changes is read like code: it must still show what its story tells. Which planted bug each story would catch stands in
//! `vsr_tests::planted::WITNESSES`, and is tried by `cargo run --release -p vsr-tests --bin planted -- --stories`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use vsr_core::io::{Event as ReplicaEvent, Ignored};
use vsr_sim::cluster::event::Event;
use vsr_sim::cluster::node::Node;
use vsr_sim::engine::{NodeIndex, Observer, Time};
use vsr_sim::report::transcript::Transcript;
use vsr_sim::scenario::action::Action;
use vsr_sim::scenario::listener::Listener;
use vsr_sim::scenario::run::Runner;
use vsr_sim::scenario::{Scenario, file};
use vsr_tests::planted::{Patch, WITNESSES, workspace};

/// The most lines of a trace: with more it is two stories.
const LINES_MAX: usize = 120;

/// Each story is a test, in a module named after its folder.
macro_rules! stories {
    ($($folder:ident: $($story:ident)*;)*) => {
        $(mod $folder {
            $(#[test]
            fn $story() {
                super::tell(stringify!($folder), stringify!($story));
            })*
        })*

        const STORIES: &[(&str, &str)] = &[$($((stringify!($folder), stringify!($story)),)*)*];
    };
}

stories! {
    checkpoint:
        checkpoint_counts_when_it_is_durable
        checkpoint_cut_short_leaves_the_one_before
        checkpoint_replaces_the_state
        restart_of_all_applies_nothing_twice
        rotten_checkpoint_is_fetched
        slots_wait_for_a_quorum_of_checkpoints;
    normal:
        commits_in_order_of_the_log
        deaf_primary_steps_down
        full_pipeline_makes_others_wait
        gap_is_filled_before_execution
        idle_cluster_stays_in_its_view
        idle_tail_is_learnt_by_heartbeat
        lost_acknowledgement_is_given_again
        lost_prepare_is_sent_again
        nothing_is_executed_before_it_is_durable_here
        primary_in_the_minority_commits_nothing;
    recovery:
        acknowledged_is_on_disk
        answer_to_an_older_start_does_not_end_the_log
        crash_between_two_writes_of_the_superblock
        cut_is_durable_before_it_is_written_over
        cut_off_entries_do_not_come_back
        nothing_is_executed_twice_after_a_restart
        older_answer_does_not_end_the_log
        promise_is_durable_before_it_is_given
        promise_outlives_a_restart
        restarted_primary_leaves_its_view
        view_change_is_taken_up_again;
    sessions:
        client_finds_the_new_primary
        client_that_starts_again_is_another
        late_answer_is_not_taken_for_another
        old_primary_does_not_judge_a_younger_session
        old_request_is_not_run_again
        oldest_session_makes_room
        request_on_its_way_is_not_prepared_twice
        request_that_was_cut_off_is_taken_again
        retry_is_answered_after_a_checkpoint
        retry_is_answered_in_a_later_view;
    state_transfer:
        any_peer_of_the_view_can_help
        checkpoint_is_fetched_again_from_another
        entry_is_known_by_its_checksum
        full_log_waits_for_its_checkpoint
        hearing_of_a_later_view_cuts_nothing_off
        replica_that_slept_takes_a_checkpoint_over
        what_follows_is_of_one_view
        what_is_too_far_ahead_is_fetched_later;
    storage:
        cut_off_stays_cut_off_when_all_lose_power
        disk_that_cannot_be_read_takes_no_part
        entry_of_another_place_is_not_believed
        failed_flush_is_not_tried_again
        full_disk_halts_and_loses_nothing
        greater_view_is_not_the_newer_write
        header_comes_second
        lost_write_is_known_by_the_other_ring
        power_fails_again_and_again
        promise_is_on_the_copies_that_are_left
        rotten_header_is_written_again
        rotten_is_not_torn
        spoiled_is_not_denied
        torn_is_not_missed
        what_cannot_be_read_is_fetched
        wiped_disk_has_no_vote
        write_that_fails_is_not_acknowledged
        write_that_went_astray_costs_two_entries;
    view_change:
        later_view_is_joined_by_its_log_alone
        log_view_decides_not_the_last_entry
        longer_log_of_an_older_view_loses
        lost_promise_is_given_again
        lost_start_of_a_view_is_asked_for
        new_primary_fetches_what_it_lacks
        next_primary_is_dead_too
        old_heartbeat_keeps_no_primary_alive
        one_vote_moves_nobody
        primary_that_is_not_answered_votes_too
        promise_for_an_older_view_does_not_count
        promise_speaks_of_what_is_durable
        survivor_is_committed_by_its_new_view
        survivor_of_one_is_not_committed_yet;
}

/// A word of Rust as it is in the name of a file.
fn hyphened(word: &str) -> String {
    word.replace('_', "-")
}

fn path_of(folder: &str, story: &str) -> PathBuf {
    let name = format!("{}.json", hyphened(story));
    workspace().join("scenarios").join(hyphened(folder)).join(name)
}

fn read(folder: &str, story: &str) -> Scenario {
    file::read(&path_of(folder, story)).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a story, judges it, and compares its trace with the one that is kept.
fn tell(folder: &str, story: &str) {
    let scenario = read(folder, story);
    let mut runner = Runner::<Transcript>::default();
    let (outcome, transcript) = runner.run_watched(&scenario, Transcript::of(&scenario));
    let trace = transcript.lines().join("\n");
    assert!(scenario.expect.is_met(&outcome.verdict), "{:?}\n{trace}", outcome.verdict);
    assert_eq!(outcome.unfired, [], "a step that does nothing tells nothing\n{trace}");
    let lines = transcript.lines().len();
    assert!(lines <= LINES_MAX, "{lines} lines are two stories\n{trace}");
    insta::with_settings!({
        description => scenario.title,
        omit_expression => true,
        prepend_module_to_snapshot => false,
        snapshot_path => "../snapshots",
    }, {
        insta::assert_snapshot!(format!("{}--{}", hyphened(folder), hyphened(story)), trace);
    });
}

#[test]
fn every_story_is_listed_and_every_listed_story_is_there() {
    let listed: BTreeSet<PathBuf> =
        STORIES.iter().map(|(folder, story)| path_of(folder, story)).collect();
    assert_eq!(listed.len(), STORIES.len());
    let mut found = BTreeSet::new();
    for folder in fs::read_dir(workspace().join("scenarios")).unwrap() {
        let folder = folder.unwrap().path();
        // Regressions are kept for their verdict, whatever their length.
        if folder.is_dir() && !folder.ends_with("regressions") {
            found.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert_eq!(listed, found);
    // A story that no test tells goes stale.
}

#[test]
fn a_story_says_what_it_is_for() {
    for (folder, story) in STORIES {
        let scenario = read(folder, story);
        assert!(!scenario.title.is_empty(), "{story} has no title");
        let (last, before) = scenario.story.split_last().expect("a story has sentences");
        assert!(!before.is_empty(), "{story} is only one sentence");
        let is_conditional = [" would ", " could "].iter().any(|word| last.contains(word));
        assert!(is_conditional, "{story} does not say at last what would have broken");
        for step in &scenario.steps {
            let is_fault = matches!(step.action, Action::Fault(_));
            assert!(!is_fault || !step.why.is_empty(), "{story}: a fault without a why: {step:?}");
        }
        let pinned = scenario.steps.iter().filter(|step| matches!(step.action, Action::Expect(_)));
        assert!(pinned.count() > 0, "{story} pins nothing");
    }
    // Whoever finds one red at night reads that first.
}

/// The table may only speak of stories and bugs that there are, and most stories must have one that breaks them.
#[test]
fn most_stories_have_a_bug_that_breaks_them() {
    let planted = workspace().join("tests/planted");
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for folder in [planted.clone(), planted.join("undetected")] {
        ids.extend(Patch::all(&folder).unwrap().into_iter().map(|patch| patch.id));
    }
    let mut broken = BTreeSet::new();
    for (story, bugs) in WITNESSES {
        let (folder, name) = story.split_once('/').expect("a folder and a name");
        assert!(path_of(folder, name).exists(), "there is no story {story}");
        assert!(broken.insert(*story), "{story} is there twice");
        for bug in *bugs {
            assert!(ids.contains(*bug), "{story}: there is no planted bug {bug}");
        }
    }
    assert!(broken.len() >= 25, "{} of {} stories", broken.len(), STORIES.len());
    for witness in ["V-02", "T-01", "S-02"] {
        assert!(WITNESSES.iter().any(|(_, bugs)| bugs.contains(&witness)), "{witness}");
    }
    // A story that nothing can break is worth nothing.
}

/// Counts why messages are dropped.
#[derive(Default)]
struct Droppings(BTreeMap<Ignored, u64>);

impl Observer<Node> for Droppings {
    fn event(&mut self, _: Time, _: NodeIndex, event: &Event) {
        if let Event::Replica(ReplicaEvent::Ignored { reason, .. }) = event {
            *self.0.entry(*reason).or_default() += 1;
        }
    }
}

impl Listener for Droppings {}

/// What no story can meet, and why.
const UNMET: &[(Ignored, &str)] = &[
    (Ignored::Misdirected, "nobody forges messages, and links carry them whole"),
    (Ignored::NotFromPrimary, "no replica says what only the primary of its view may"),
    (
        Ignored::BrokenChain,
        "within a view there is one log, so that no honest replica contradicts it",
    ),
    (Ignored::Busy, "the queue has room for as many clients as there may be"),
    (Ignored::TooLarge, "a client takes no operation that replicas would not"),
];

/// All reasons, in order; the match sees to it that none is left out.
fn reasons() -> Vec<Ignored> {
    use Ignored as I;
    let all = vec![
        I::Misdirected,
        I::Recovering,
        I::OlderView,
        I::NewerView,
        I::NotFromPrimary,
        I::NotPrimary,
        I::ViewChange,
        I::NotViewChange,
        I::AlreadyCounted,
        I::AlreadyPrepared,
        I::Gap,
        I::TooFarAhead,
        I::NotAskedFor,
        I::BrokenChain,
        I::NotHere,
        I::OldHeartbeat,
        I::SteppedDown,
        I::Busy,
        I::InProgress,
        I::OldRequest,
        I::NotNext,
        I::TooLarge,
        I::LogFull,
        I::StateTransfer,
    ];
    for reason in &all {
        match reason {
            I::Misdirected
            | I::Recovering
            | I::OlderView
            | I::NewerView
            | I::NotFromPrimary
            | I::NotPrimary
            | I::ViewChange
            | I::NotViewChange
            | I::AlreadyCounted
            | I::AlreadyPrepared
            | I::Gap
            | I::TooFarAhead
            | I::NotAskedFor
            | I::BrokenChain
            | I::NotHere
            | I::OldHeartbeat
            | I::SteppedDown
            | I::Busy
            | I::InProgress
            | I::OldRequest
            | I::NotNext
            | I::TooLarge
            | I::LogFull
            | I::StateTransfer => {}
        }
    }
    all
}

#[test]
fn every_reason_to_drop_something_is_met_in_a_story() {
    let mut met: BTreeMap<Ignored, u64> = BTreeMap::new();
    let mut runner = Runner::<Droppings>::default();
    for (folder, story) in STORIES {
        let (_, droppings) = runner.run_watched(&read(folder, story), Droppings::default());
        for (reason, count) in droppings.0 {
            *met.entry(reason).or_default() += count;
        }
    }
    let excused = |reason| UNMET.iter().any(|(unmet, _)| *unmet == reason);
    let missing: Vec<Ignored> = reasons()
        .into_iter()
        .filter(|reason| !met.contains_key(reason) && !excused(*reason))
        .collect();
    assert_eq!(missing, [], "met: {met:?}");
    for (reason, why) in UNMET {
        assert!(!met.contains_key(reason), "{reason:?} is met after all, though {why}");
    }
    // A branch that no story goes through is one that nobody would miss.
}
