//! Every scenario that is kept because it failed once, each as a test of its own: it must come out as it says.

use std::fs;

use vsr_sim::campaign::regressions;
use vsr_sim::scenario::file;
use vsr_sim::scenario::run::Runner;
use vsr_tests::planted::workspace;

include!(concat!(env!("OUT_DIR"), "/regressions.rs"));

#[track_caller]
fn replay(name: &str) {
    let path = workspace().join(regressions::FOLDER).join(name);
    let scenario = file::read(&path).unwrap_or_else(|error| panic!("{error}"));
    let outcome = Runner::<()>::default().run(&scenario);
    if let Some(unmet) = regressions::unmet(&path, &scenario, &outcome.verdict) {
        panic!(
            "{}\nexpected {}\nfound    {}\n{:#?}",
            unmet.path, unmet.expected, unmet.found, outcome.verdict
        );
    }
    // What failed once fails most easily again.
}

#[test]
fn each_regression_has_a_test_of_its_own() {
    let files = regressions::files_in(&workspace().join(regressions::FOLDER)).unwrap();
    assert!(!files.is_empty());
    let tests = include_str!(concat!(env!("OUT_DIR"), "/regressions.rs"));
    assert_eq!(tests.matches("#[test]").count(), files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(tests.contains(&format!("{name}\"")), "{name}: touch tests/build.rs");
        assert!(text.contains("\"story\": [\n"), "{name} tells no story");
    }
}
