//! Three planted bugs that any simulator worth its name finds at once: if one of them survives, it is not the replica that got
//! better. All planted bugs, and over many more seeds, are the business of the `planted` command.

use std::path::Path;

use vsr_tests::planted::{Hunt, Patch, Workshop, workspace};

/// How many seeds each may take: many times what they were seen to need.
const SEEDS: u64 = 300;

/// Builds the command as it is and with each bug, and sweeps until a seed fails that passes without the bug.
#[test]
fn the_canaries_are_found() {
    let patches = workspace().join("tests/planted");
    let canaries = ["N-15", "N-01", "S-01"].map(String::from);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("canaries");
    let workshop = Workshop::new(&folder).unwrap();
    let clean = workshop.clean().unwrap();
    // The stories of the canaries must fail with them, too.
    vsr_tests::planted::try_witnesses(&workshop, &canaries, |witness| {
        assert!(witness.is_good(), "{witness}");
    })
    .unwrap();
    for patch in Patch::only(&patches, &canaries).unwrap() {
        let planted = workshop.with(&patch).unwrap_or_else(|error| panic!("{}: {error}", patch.id));
        let out = folder.join("artefacts");
        let hunt = Hunt { clean: clean.clone(), planted, out, budget_ns: u64::MAX };
        let sweep = hunt.sweep(0..SEEDS).unwrap();
        assert!(sweep.found.is_some(), "{} {}: {sweep}", patch.id, patch.name);
        assert_eq!(sweep.failing_anyway, [0; 0], "seeds fail without {} too", patch.id);
    }
    // A green sweep says nothing about the replica unless a wrong one would be red.
}
