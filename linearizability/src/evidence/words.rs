//! Contradictions in words.

use crate::Model;
use crate::check::Part;
use crate::engine::zones::Conflict;

/// An operation: what it asked and was told, whose it was, and when.
fn operation<M: Model>(part: &Part<'_, M>, place: u32) -> String {
    // The zones' virtual writer of the initial value.
    let Some(operation) = part.operations.get(place as usize) else {
        return "the initial value".to_owned();
    };
    let words = part.model.describe(&operation.input, operation.output());
    let (process, call) = (operation.process, operation.call);
    match &operation.completion {
        Some(completion) => format!("{words} by process {process} [{call}, {}]", completion.at),
        None => format!("{words} by process {process} [{call}, no answer]"),
    }
}

fn list<M: Model>(part: &Part<'_, M>, places: &[u32]) -> String {
    let words: Vec<String> = places.iter().map(|&place| operation(part, place)).collect();
    words.join("; ")
}

/// What zones found.
pub(super) fn of_conflict<M: Model>(part: &Part<'_, M>, conflict: &Conflict) -> String {
    let name = |place: &u32| operation(part, *place);
    match conflict {
        Conflict::Nobody { reader, late: None } => {
            format!("{} saw a value that nobody wrote", name(reader))
        }
        Conflict::Nobody { reader, late: Some(late) } => {
            format!("{} had returned before what it saw was written: {}", name(reader), name(late))
        }
        Conflict::NobodyBehind { reader, seen_by } => format!(
            "{} must have taken effect{}, but what it expects was never there",
            name(reader),
            seen_by.map_or_else(String::new, |by| format!(" for {} to see its value", name(&by))),
        ),
        Conflict::Overwritten { reader, by, writers } if writers.is_empty() => {
            format!("{} saw the initial value after {} had overwritten it", name(reader), name(by))
        }
        Conflict::Overwritten { reader, by, writers } => format!(
            "{} saw a value after {} had overwritten it; it had been written by {}",
            name(reader),
            name(by),
            list(part, writers)
        ),
        Conflict::TwoSuccessors { first, second } => format!(
            "{} and {} both found the same value, which was written once",
            name(first),
            name(second)
        ),
        Conflict::Cycle { swaps } => {
            format!(
                "each of these found what another of them left, round and round: {}",
                list(part, swaps)
            )
        }
        Conflict::Chain { early, late, swaps } => format!(
            "{} had returned before {} was called, but its value came later by {}",
            name(early),
            name(late),
            list(part, swaps)
        ),
        Conflict::Blocks { first, second, .. } => of_blocks(part, *first, *second),
        Conflict::NotSeen { reader, before, after } => format!(
            "{} failed, but the value that it expected was there all the time, from {} to {}",
            name(reader),
            name(before),
            name(after)
        ),
    }
}

/// Each of two values must be older than the other.
fn of_blocks<M: Model>(part: &Part<'_, M>, first: (u32, u32), second: (u32, u32)) -> String {
    // The operation that was called last of all is the one that comes too late.
    let call = |place: u32| part.operations.get(place as usize).map(|operation| operation.call);
    let (stale, newer) =
        if call(first.1) >= call(second.1) { (first, second) } else { (second, first) };
    let seer = part.operations.get(newer.0 as usize);
    let process = seer.map_or_else(String::new, |seer| format!("process {}", seer.process));
    let mut words = format!(
        "{} comes after {process} had already seen it overwritten: {}",
        operation(part, stale.1),
        operation(part, newer.0),
    );
    if stale.0 != stale.1 || newer.0 != newer.1 {
        words.push_str(&format!(
            "; the order of the two is certain, since {} was there before {} was called",
            operation(part, stale.0),
            operation(part, newer.1),
        ));
    }
    words
}

/// What a search found: where it came to its end.
pub(super) fn of_search<M: Model>(
    part: &Part<'_, M>,
    kept: &[usize],
    unplaced: usize,
    longest: &[u32],
) -> String {
    let mut states = vec![part.model.initial(&part.key)];
    let returned = part.operations[unplaced].returned();
    for &place in longest {
        let operation = part.operations[place as usize];
        let output = operation.output().filter(|_| operation.returned() <= returned);
        let mut next = Vec::new();
        for state in &states {
            part.model.step(state, &operation.input, output, &mut next);
            if next.is_empty() {
                part.model.step(state, &operation.input, None, &mut next);
            }
        }
        states = next;
    }
    let state = states.first().map_or_else(String::new, |state| {
        format!("; the longest one before it leaves {}", part.model.describe_state(state))
    });
    let place = u32::try_from(unplaced).expect("a history is indexed in 31 bits");
    format!(
        "{} fits nowhere: no order of the {} operations that matter explains all their answers{state}",
        operation(part, place),
        kept.len(),
    )
}
