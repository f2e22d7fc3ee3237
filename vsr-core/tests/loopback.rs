//! The example over real sockets and files, run as a test: the same modules, the same story.

#[path = "../examples/loopback/group/mod.rs"]
mod group;

/// Requests, a killed primary, requests, its restart from its files, the end and restart of all, requests.
#[test]
fn a_cluster_over_sockets_and_files_outlives_the_sudden_end_of_its_replicas() {
    let mut told = Vec::new();
    let result = group::story::run(&mut told);
    let told = String::from_utf8(told).unwrap();
    assert!(result.is_ok(), "{result:?} after:\n{told}");
    assert_eq!(told.matches("50 requests answered").count(), 3, "{told}");
    assert!(told.ends_with("all three agree: sum 3825, each of 150 added once\n"), "{told}");
    // Bytes that only the simulator can read back would end the story at the first restart.
}
