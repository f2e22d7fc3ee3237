//! Operations as bars, one below the other.

use std::fmt::Write as _;

use super::OperationRecord;

/// The most operations that are drawn; of more, the first and the last ones are.
const SHOWN_MAX: usize = 24;

/// The most columns that the bars take.
const COLUMNS_MAX: usize = 48;

/// Draws operations, which are sorted by time of call. Time runs from left to right, from one event to the next; it is not
/// to scale.
pub(super) fn draw(operations: &[OperationRecord], unplaced: u64) -> String {
    let hidden = operations.len().saturating_sub(SHOWN_MAX);
    let (head, tail) = match hidden {
        0 => (operations, &operations[..0]),
        _ => {
            let (head, rest) = operations.split_at(SHOWN_MAX / 2);
            (head, &rest[hidden..])
        }
    };
    let mut times: Vec<i64> = head
        .iter()
        .chain(tail)
        .flat_map(|operation| [Some(operation.call), operation.returned])
        .flatten()
        .collect();
    times.sort_unstable();
    times.dedup();
    let step = (COLUMNS_MAX / times.len().max(1)).clamp(1, 6);
    let mut text = String::new();
    for operation in head {
        line(&mut text, operation, &times, step, unplaced);
    }
    if hidden > 0 {
        writeln!(text, "    .. {hidden} more ..").ok();
    }
    for operation in tail {
        line(&mut text, operation, &times, step, unplaced);
    }
    text
}

fn line(text: &mut String, operation: &OperationRecord, times: &[i64], step: usize, unplaced: u64) {
    let column = |time: &i64| times.binary_search(time).map_or(0, |rank| rank * step);
    let width = times.len().saturating_sub(1) * step + 1;
    let (start, end) = (column(&operation.call), operation.returned.as_ref().map_or(width, column));
    let mut bar: String = " ".repeat(start);
    bar.push('|');
    match operation.returned {
        Some(_) if end > start => {
            bar.push_str(&"-".repeat(end - start - 1));
            bar.push('|');
        }
        Some(_) => {}
        // Nobody knows when it ended, if it did.
        None => {
            bar.push_str(&"-".repeat((end - start).saturating_sub(1)));
            bar.push('>');
        }
    }
    let number = format!("line {}", operation.line);
    let process = format!("p{}", operation.process);
    let mark = if operation.line == unplaced { "   <- fits nowhere" } else { "" };
    let pad = width + 3;
    writeln!(text, "    {number:<10} {process:<6} {bar:<pad$} {}{mark}", operation.words).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(line: u64, call: i64, returned: Option<i64>) -> OperationRecord {
        OperationRecord { line, process: line, call, returned, words: format!("op {line}") }
    }

    #[test]
    fn bars_show_what_overlaps() {
        let operations =
            [operation(1, 0, None), operation(2, 10, Some(20)), operation(3, 30, Some(30))];
        let drawn = draw(&operations, 3);
        let expected = "    line 1     p1     |------------------>   op 1
    line 2     p2           |-----|          op 2
    line 3     p3                       |    op 3   <- fits nowhere
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn of_many_operations_both_ends_are_drawn() {
        let operations: Vec<OperationRecord> =
            (0..100).map(|n| operation(n, i64::try_from(n).unwrap(), None)).collect();
        let drawn = draw(&operations, 99);
        assert_eq!(drawn.lines().count(), SHOWN_MAX + 1);
        assert!(drawn.contains(".. 76 more .."));
        assert!(drawn.contains("op 99"));
    }
}
