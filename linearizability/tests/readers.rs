//! What the readers make of files, good and bad: a history, or an error that names the line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use linearizability::read::{
    ReadError, ReadErrorKind, ReadOptions, Recording, Vocabulary, edn, jsonl, porcupine,
};
use linearizability::{
    Budget, HistoryError, Model as _, Options, Resource, Verdict, check, check_with,
};

fn read(text: &str) -> Result<Recording, ReadError> {
    jsonl(text.as_bytes(), &ReadOptions::default())
}

/// The line and the words of the error that `text` must give.
fn refused(text: &str) -> (u64, String) {
    let error = read(text).unwrap_err();
    (error.line, error.kind.to_string())
}

fn verdict(recording: Recording) -> Verdict {
    let (model, history) = recording.into_parts();
    check(&model, &history, &Budget::default())
}

const PUT: &str =
    r#"{"process":0,"f":"put","key":"k","value":1,"call":0,"return":5,"output":null}"#;

#[test]
fn every_function_has_its_line() {
    let text = r#"
{"process":0,"f":"put","key":"k","value":"1","call":0,"return":5,"output":null}
{"process":1,"f":"append","key":"k","value":2,"call":6,"return":7,"output":null}

{"process":2,"f":"get","key":"k","call":8,"return":9,"output":12}
{"process":2,"f":"cas","key":"k","value":[12,"3"],"call":10,"return":11,"output":true}
{"process":2,"f":"cas","key":"k","value":["9","3"],"call":12,"return":13,"output":{"ok":false,"was":"3"}}
{"process":2,"f":"cas","key":"k","value":[null,"4"],"call":14,"return":15,"output":false}
{"process":0,"f":"delete","key":"k","call":16,"return":17,"output":null,"version":1}
{"process":1,"f":"get","key":"k","call":18,"return":19,"output":null,"version":1}
{"process":3,"f":"put","key":"l","value":"7","call":20}
"#;
    let recording = read(text).unwrap();
    assert_eq!(recording.history.len(), 9);
    // An operation's id is the line on which it stands.
    assert_eq!(recording.history.operations()[2].id, 5);
    assert!(recording.history.operations()[8].is_pending());
    assert!(matches!(verdict(recording), Verdict::Linearizable(_)));
}

#[test]
fn a_register_needs_no_key() {
    let text = r#"{"process":0,"f":"write","value":1,"call":0,"return":5}
{"process":1,"f":"read","call":6,"return":7,"output":2}"#;
    let recording = read(text).unwrap();
    let (model, history) = recording.into_parts();
    let operation = &history.operations()[1];
    assert_eq!(model.describe(&operation.input, operation.output()), "read -> 2");
    let Verdict::NotLinearizable(evidence) = check(&model, &history, &Budget::default()) else {
        panic!("nobody wrote 2");
    };
    assert_eq!((evidence.operations, evidence.unplaced), (vec![1], 1));
    assert!(evidence.reason.contains("nobody wrote"), "{}", evidence.reason);
}

#[test]
fn what_is_no_operation_is_refused_by_line() {
    let with = |line: &str| refused(&format!("{PUT}\n{line}\n"));
    for (line, words) in [
        (r#"{"process":1,"f":"get","key":"k","call":1,"ret"#, "EOF while parsing"),
        (r#"{"process":"x","f":"get","key":"k","call":1}"#, "invalid type: string"),
        (r#"{"process":1,"f":"get","key":"k","call":1.5}"#, "invalid type: floating point"),
        (r#"{"process":1,"f":"frobnicate","key":"k","call":1}"#, "unknown function \"frobnicate\""),
        (r#"{"process":1,"f":"get","key":"k","call":1,"retrun":2}"#, "unknown field `retrun`"),
        (r#"{"process":1,"f":"get","key":"k"}"#, "missing field `call`"),
        (r#"{"process":1,"f":"put","key":"k","call":1}"#, "missing field `value`"),
        (
            r#"{"process":1,"f":"put","key":"k","value":true,"call":1}"#,
            "expected a string or an integer",
        ),
        (r#"{"process":1,"f":"cas","key":"k","value":3,"call":1}"#, "[expected, new]"),
        (r#"{"process":1,"f":"get","key":"k","call":1,"return":2}"#, "missing field `output`"),
        (r#"{"process":1,"f":"get","key":"k","call":1,"output":2}"#, "an output without a return"),
        (
            r#"{"process":1,"f":"get","key":"k","call":9,"return":2,"output":1}"#,
            "before its call at 9",
        ),
        (r#"{"process":0,"f":"get","key":"k","call":4}"#, "still open"),
        ("[]", "expected an object"),
        ("\u{0}", "expected value"),
    ] {
        let (number, message) = with(line);
        assert_eq!(number, 2, "{line}: {message}");
        assert!(message.contains(words), "{line}: {message}");
    }
}

#[test]
fn an_empty_file_is_no_history() {
    for text in ["", "\n\n", "  \n"] {
        assert!(matches!(read(text).unwrap_err().kind, ReadErrorKind::Empty));
    }
    assert!(matches!(
        edn(&b"[]"[..], &ReadOptions::default()).unwrap_err().kind,
        ReadErrorKind::Empty
    ));
    assert!(matches!(
        porcupine(&b" "[..], &ReadOptions::default()).unwrap_err().kind,
        ReadErrorKind::Empty
    ));
}

#[test]
fn ten_megabytes_on_a_line_are_read_or_refused() {
    let long = "a".repeat(10 << 20);
    let line =
        format!(r#"{{"process":0,"f":"put","key":"k","value":"{long}","call":0,"return":5}}"#);
    assert!(matches!(verdict(read(&line).unwrap()), Verdict::Linearizable(_)));

    let limited = ReadOptions { line_bytes_max: 1 << 20, ..ReadOptions::default() };
    let error = jsonl(format!("{PUT}\n{line}").as_bytes(), &limited).unwrap_err();
    assert_eq!(error.line, 2);
    assert!(matches!(error.kind, ReadErrorKind::LineTooLong { limit: 1_048_576 }));

    let small = ReadOptions { bytes_max: 1 << 20, ..ReadOptions::default() };
    let error = jsonl(line.as_bytes(), &small).unwrap_err();
    assert!(matches!(error.kind, ReadErrorKind::TooLarge { .. }));

    // What is wrong with it is said in fewer words.
    let (line, words) = refused(&long);
    assert_eq!(line, 1);
    assert!(words.len() < 300);
}

#[test]
fn a_first_operation_may_be_the_bad_one() {
    let text = r#"{"process":0,"f":"get","key":"k","call":0,"return":1,"output":"7"}"#;
    let Verdict::NotLinearizable(evidence) = verdict(read(text).unwrap()) else {
        panic!("nobody wrote 7");
    };
    assert_eq!((evidence.operations, evidence.longest), (vec![0], vec![]));
}

#[test]
fn a_register_does_not_append() {
    let options = ReadOptions { vocabulary: Vocabulary::CasRegister, ..ReadOptions::default() };
    let text = r#"{"process":0,"f":"append","value":1,"call":0}"#;
    let error = jsonl(text.as_bytes(), &options).unwrap_err();
    assert!(matches!(error.kind, ReadErrorKind::UnknownFunction(_)));
}

#[test]
fn knossos_drops_what_failed_and_starts_at_zero() {
    let text = "; a comment
[{:process :nemesis, :type :info, :f :start}
 {:process 0, :type :info, :f :read}
 {:process 0, :type :invoke, :f :cas, :value [0 1]}
 {:process 1, :type :invoke, :f :cas, :value [7 8]}
 {:process 0, :type :ok, :f :cas, :value [0 1]}
 {:process 1, :type :fail, :f :cas, :value [7 8]}
 {:process 2, :type :invoke, :f :write, :value 5}
 {:process 2, :type :info, :f :write, :value 5}
 #jepsen.history.Op{:process 0, :type :invoke, :f :read, :value nil, :index 8}
 {:process 0, :type :ok, :f :read, :value 5}]";
    let options = ReadOptions { vocabulary: Vocabulary::CasRegister, ..ReadOptions::default() };
    let recording = edn(text.as_bytes(), &options).unwrap();
    assert_eq!(recording.history.len(), 3);
    assert!(matches!(verdict(recording), Verdict::Linearizable(_)));

    let stale = text.replace(":f :read, :value 5", ":f :read, :value 0");
    let recording = edn(stale.as_bytes(), &options).unwrap();
    assert!(matches!(verdict(recording), Verdict::NotLinearizable(_)));
}

#[test]
fn broken_edn_is_refused_by_line() {
    let invoke = "{:process 0, :type :invoke, :f :read, :value nil}";
    for (text, line, words) in [
        (format!("[{invoke}\n{invoke}]"), 2, "still open"),
        (format!("{invoke}\n{{:process 1, :type :ok, :f :read}}"), 2, "without an open operation"),
        (format!("[{invoke}\n"), 2, "ends inside the vector"),
        (format!("{invoke}\n{{:process 1"), 2, "ends inside a form"),
        (format!("{invoke}\n17"), 2, "expected a map"),
        (format!("{invoke}\n{{:process 1, :type :walk, :f :read}}"), 2, "unknown type"),
        (format!("{invoke}\n{{:process 1, :type}}"), 2, "a key and no value"),
        (format!("{invoke}\n{}", "[".repeat(100)), 2, "something"),
        (format!("{invoke} {}", "{:a ".repeat(100)), 1, "too deeply"),
    ] {
        let options = ReadOptions { vocabulary: Vocabulary::Register, ..ReadOptions::default() };
        let Err(error) = edn(text.as_bytes(), &options) else { panic!("{text} is accepted") };
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(words == "something" || error.to_string().contains(words), "{text}: {error}");
    }
}

#[test]
fn porcupine_takes_a_failed_swap_for_an_observation() {
    let text = "INFO  jepsen.util - 0 :invoke :write 3
INFO  jepsen.util - 0 :ok :write 3
INFO  jepsen.util - 0 :invoke :cas [3 4]
INFO  jepsen.util - 0 :fail :cas [3 4]
";
    let recording = porcupine(text.as_bytes(), &ReadOptions::default()).unwrap();
    assert!(matches!(verdict(recording), Verdict::NotLinearizable(_)));
    // The same file for Knossos: the swap did not happen.
    let forms = "{:process 0, :type :invoke, :f :write, :value 3} {:process 0, :type :ok, :f :write, :value 3}
{:process 0, :type :invoke, :f :cas, :value [3 4]} {:process 0, :type :fail, :f :cas, :value [3 4]}";
    let options = ReadOptions { vocabulary: Vocabulary::CasRegister, ..ReadOptions::default() };
    assert!(matches!(verdict(edn(forms.as_bytes(), &options).unwrap()), Verdict::Linearizable(_)));
}

#[test]
fn a_duplicate_answer_has_a_line() {
    let text = "INFO  jepsen.util - 0 :invoke :write 3
INFO  jepsen.util - 0 :ok :write 3
INFO  jepsen.util - 0 :ok :write 3
";
    let error = porcupine(text.as_bytes(), &ReadOptions::default()).unwrap_err();
    assert_eq!(error.line, 3);
    assert!(matches!(
        error.kind,
        ReadErrorKind::History(HistoryError::NothingOpen { process: 0, .. })
    ));
}

#[test]
fn verdict_and_evidence_do_not_depend_on_threads_or_luck() {
    // Twenty keys, three of them contradictory.
    let mut text = String::new();
    for key in 0..20 {
        let seen = if key % 7 == 5 { 9 } else { 1 };
        text.push_str(&format!(
            "{{\"process\":{key},\"f\":\"put\",\"key\":{key},\"value\":1,\"call\":{key},\"return\":30}}\n\
             {{\"process\":{key},\"f\":\"get\",\"key\":{key},\"call\":31,\"return\":40,\"output\":{seen}}}\n"
        ));
    }
    let (model, history) = read(&text).unwrap().into_parts();
    let verdicts: Vec<Verdict> = (1..=8)
        .flat_map(|threads| [threads; 5])
        .map(|threads| check_with(&model, &history, &Options { threads, ..Options::default() }))
        .collect();
    assert!(matches!(&verdicts[0], Verdict::NotLinearizable(evidence) if evidence.partition == 5));
    assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_budget_that_runs_out_is_neither_verdict_and_the_same_everywhere() {
    // Three swaps found 1, which was written twice: zones would have to guess who saw which.
    let mut text = String::new();
    for (process, f, value) in [
        (0, "write", "1"),
        (1, "write", "1"),
        (2, "cas", "[1,2]"),
        (3, "cas", "[1,2]"),
        (4, "cas", "[1,2]"),
    ] {
        let output = if f == "cas" { "true" } else { "null" };
        text.push_str(&format!(
            "{{\"process\":{process},\"f\":\"{f}\",\"value\":{value},\"call\":0,\"return\":9,\"output\":{output}}}\n"
        ));
    }
    let (model, history) = read(&text).unwrap().into_parts();
    let judge = |budget: Budget<'_>, threads| {
        check_with(&model, &history, &Options { threads, budget, ..Options::default() })
    };
    let few = Budget { steps: 3, ..Budget::default() };
    let Verdict::Unknown(exhausted) = judge(few, 1) else { panic!("three steps do not suffice") };
    assert_eq!(exhausted.resource, Resource::Steps);
    assert_eq!((exhausted.partitions, exhausted.partitions_decided), (1, 0));
    assert_eq!(judge(few, 4), Verdict::Unknown(exhausted));
    let none = Budget { bytes: 0, ..Budget::default() };
    assert!(
        matches!(judge(none, 1), Verdict::Unknown(ref exhausted) if exhausted.resource == Resource::Bytes)
    );
    assert!(matches!(judge(Budget::default(), 1), Verdict::NotLinearizable(_)));
}
