//! The JSON Schema of scenarios: it accepts what the reader accepts, and refuses what the reader refuses.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};
use vsr_sim::engine::Seed;
use vsr_sim::scenario::Scenario;
use vsr_sim::scenario::draw::{Overrides, Profile};
use vsr_sim::scenario::run::Runner;
use vsr_tests::command::run_in;

/// The schema that the command prints, ready to judge.
struct Judge {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Judge {
    fn new() -> Self {
        let printed = run_in(Path::new("."), &["scenario", "schema"]);
        assert_eq!((printed.code, printed.said.as_str()), (0, ""));
        let schema: Value = serde_json::from_str(&printed.printed).unwrap();
        let mut compiler = Compiler::new();
        compiler.add_resource("scenario.schema.json", schema).unwrap();
        let mut schemas = Schemas::new();
        let index = compiler.compile("scenario.schema.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn refuses(&self, scenario: &Value) -> Option<String> {
        self.schemas.validate(scenario, self.index).err().map(|error| error.to_string())
    }

    #[track_caller]
    fn accept(&self, what: &str, scenario: &Value) {
        assert_eq!(self.refuses(scenario), None, "{what}");
    }
}

fn scenarios_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scenarios_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

#[test]
fn every_scenario_of_the_repository_is_one_by_the_schema() {
    let judge = Judge::new();
    let mut found = Vec::new();
    scenarios_below(&vsr_tests::planted::workspace().join("scenarios"), &mut found);
    assert!(!found.is_empty());
    for path in found {
        let scenario = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        judge.accept(&path.display().to_string(), &scenario);
    }
}

/// Of all profiles; and each of them once more with its bad luck told packet by packet.
#[test]
fn drawn_and_decided_scenarios_are_scenarios_by_the_schema() {
    let judge = Judge::new();
    let mut runner: Runner = Runner::default();
    for number in 0..200 {
        let profiles =
            [Profile::Swarm, Profile::Calm, Profile::HarshDisk, Profile::HarshDiskBeyond];
        let profile = profiles[usize::try_from(number).unwrap() % profiles.len()];
        let overrides = Overrides { profile, requests: Some(4), ..Overrides::default() };
        let mut scenario = Scenario::draw(Seed::new(number), &overrides);
        judge.accept(&format!("seed {number}"), &serde_json::to_value(&scenario).unwrap());
        let (_, recorded) = runner.run_recorded(&scenario);
        scenario.decide(recorded);
        judge.accept(&format!("seed {number}, told"), &serde_json::to_value(&scenario).unwrap());
    }
}

/// One of each sort of step, trigger and fate.
fn story() -> Value {
    json!({
        "format": 1,
        "title": "All sorts of things.",
        "seed": 7,
        "cluster": { "replicas": 3, "clients": 2, "timeouts": { "repair": "13ms" } },
        "network": { "latency": "1ms" },
        "budget": "minority",
        "workload": { "requests": 9, "mix": { "get": 1, "put": 1, "append": 0, "delete": 0, "swap": 0 } },
        "fates": [{ "from": "r0", "to": "c1", "kind": "Reply", "identity": 7, "nth": 2, "fate": { "late": { "by": "3ms" } } }],
        "steps": [
            { "at": "1s", "do": { "crash": { "node": "busy-backup" } }, "for": "30ms", "why": "x" },
            { "on": { "moment": "sent", "kind": "Prepare", "node": "primary", "peer": "r1", "identity": 3, "nth": 2 }, "do": { "heal": {} } },
            { "after": "1us", "on": { "moment": "write-started", "kind": "Superblock" }, "do": { "hold": { "from": "all", "to": "r0", "kinds": ["Commit"] } }, "until": { "moment": "booted" } },
            { "settled": "answered", "do": { "request": { "from": "c0", "operation": "put k0 7" } } },
            { "settled": "quiet", "do": { "expect": { "nodes": "backup1", "status": "view-change", "view": 1, "commits": { "r0": 1 } } } },
            { "at": "2s", "do": { "rot": { "node": "r0", "zone": "Headers", "spot": "last-written", "how": "unreadable" } } },
            { "at": "2s", "do": { "rates": { "from": "r0", "to": "all", "change": { "loss_ppm": 7 } } } },
            { "on": { "moment": "event", "kind": "Voted", "node": "r2", "identity": 1 }, "do": { "partition": { "sides": [["r0"], ["r1", "r2"]] } } },
        ],
        "expect": { "verdict": "fail", "property": "agreement", "signature": "0123456789abcdef", "states": [{ "nodes": "c0", "answered": 2 }] },
    })
}

/// What is changed outside the steps: by a pointer into the story, another value, or one more field.
fn changes_of_the_frame() -> Vec<(&'static str, Value)> {
    vec![
        ("/format", json!(2)),
        ("/format", json!("1")),
        ("/sed", json!(1)),
        ("/seed", json!("x")),
        ("/seed", json!(-1)),
        ("/title", json!(7)),
        ("/story", json!("Once.")),
        ("/cluster/replicas", json!(8)),
        ("/cluster/replicas", json!(0)),
        ("/cluster/clients", json!(101)),
        ("/fates/0/from", json!("c100")),
        ("/cluster/leader", json!("r0")),
        ("/cluster/timeouts/repairs", json!("1ms")),
        ("/cluster/timeouts/repair", json!("1 ms")),
        ("/network/latency", json!(5)),
        ("/network/lag", json!("5ms")),
        ("/disk", json!({ "speed": 1 })),
        ("/budget", json!("all")),
        ("/clock", json!({ "skew": 1 })),
        ("/workload/mix/get", json!(-1)),
        ("/workload/mix/read", json!(1)),
        ("/fates/0/kind", json!("Answer")),
        ("/fates/0/from", json!("all")),
        ("/fates/0/fate", json!("eaten")),
        ("/fates/0/fate", json!({ "late": {} })),
        ("/fates/0/fate", json!({ "late": { "by": "3ms", "or": 1 } })),
        ("/duration", json!("soon")),
    ]
}

/// What is changed in steps and expectations.
fn changes_of_steps() -> Vec<(&'static str, Value)> {
    vec![
        ("/steps/0/then", json!({})),
        ("/steps/0/after", json!("1s")),
        ("/steps/0/until", json!({ "moment": "booted" })),
        ("/steps/0/do", json!({ "explode": {} })),
        ("/steps/0/do", json!({})),
        ("/steps/0/do", json!({ "heal": {}, "crash": { "node": "r0" } })),
        ("/steps/0/do/crash/hard", json!(true)),
        ("/steps/0/do/crash/node", json!("leader")),
        ("/steps/0/do/crash/node", json!("r7")),
        ("/steps/0/do/crash", json!({})),
        ("/steps/1/on/moment", json!("sant")),
        ("/steps/1/on/kind", json!("Vote")),
        ("/steps/1/on/kind", json!("Superblock")),
        ("/steps/1/on/kind", json!(null)),
        ("/steps/1/on/nth", json!(0)),
        ("/steps/1/on/often", json!(1)),
        ("/steps/1/on/identity", json!(-1)),
        ("/steps/2/on/identity", json!(1)),
        ("/steps/2/until/identity", json!(1)),
        ("/steps/2/on/kind", json!("Prepare")),
        ("/steps/2/on/peer", json!("r1")),
        ("/steps/2/do/hold/kinds/0", json!("Comit")),
        ("/steps/2/until/kind", json!("Voted")),
        ("/steps/3/settled", json!("soon")),
        ("/steps/3/do/request", json!({ "from": "c0" })),
        ("/steps/3/do/request/twice", json!(true)),
        ("/steps/4/do/expect/status", json!("fine")),
        ("/steps/4/do/expect/up", json!("yes")),
        ("/steps/4/do/expect/commits", json!({ "leader": 1 })),
        ("/steps/5/do/rot/zone", json!("Footers")),
        ("/steps/5/do/rot/how", json!("slowly")),
        ("/steps/6/do/rates/change/lost", json!(1)),
        ("/steps/7/on/kind", json!("Decided")),
        ("/steps/7/on/kind", json!("Returned")),
        ("/steps/7/do/partition/sides", json!(["r0"])),
        ("/expect/verdict", json!("unknown")),
        ("/expect/signature", json!("0123")),
        ("/expect/states/0/nodes", json!(["c0"])),
        ("/expect/reason", json!("x")),
    ]
}

#[test]
fn what_the_reader_refuses_is_refused_by_the_schema() {
    let judge = Judge::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("story.json");
    let reader_refuses = |story: &Value| {
        fs::write(&path, story.to_string()).unwrap();
        let done = run_in(folder.path(), &["scenario", "validate", "story.json"]);
        (done.code == 2).then_some(done.said)
    };
    judge.accept("the story", &story());
    assert_eq!(reader_refuses(&story()), None);
    for (place, value) in changes_of_the_frame().into_iter().chain(changes_of_steps()) {
        let mut changed = story();
        let (parent, field) = place.rsplit_once('/').unwrap();
        let parent = changed.pointer_mut(parent).unwrap();
        match field.parse::<usize>() {
            Ok(place) => parent[place] = value.clone(),
            Err(_) => parent[field] = value.clone(),
        }
        assert!(reader_refuses(&changed).is_some(), "the reader accepts {place} = {value}");
        assert!(judge.refuses(&changed).is_some(), "the schema accepts {place} = {value}");
    }
    for gone in [
        "/format",
        "/steps/0/at",
        "/steps/0/do",
        "/steps/1/on/kind",
        "/steps/1/on/moment",
        "/expect/verdict",
        "/fates/0/to",
    ] {
        let mut changed = story();
        let (parent, field) = gone.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).unwrap();
        assert!(reader_refuses(&changed).is_some(), "the reader does without {gone}");
        assert!(judge.refuses(&changed).is_some(), "the schema does without {gone}");
    }
    // An editor that finds a file right which the reader refuses is worse than none.
}
